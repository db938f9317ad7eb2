package netns

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Enter runs the rest of a test on a thread in a new network namespace, where only
// its loopback interface is, and that one up. The thread goes back when the test
// ends. Goroutines that the test starts are outside.
func Enter(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	back, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		back.Close()
		runtime.UnlockOSThread()
		t.Skipf("SKIPPED: making a network namespace needs root (CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() {
		// A thread that cannot go back stays locked, and ends with the test.
		if unix.Setns(int(back.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		back.Close()
	})
	if err := RaiseLoopback(); err != nil {
		t.Fatal(err)
	}
}

// RaiseLoopback sets lo up in the namespace of the calling thread.
func RaiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}
