package capture

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// damageSeeds are small captures, one of each uncompressed format and variant,
// by name.
func damageSeeds(t *testing.T) map[string][]byte {
	t.Helper()
	f := plainFrame()
	seeds := map[string][]byte{
		"pcap":         pcapFile(1, f, f, f),
		"joined pcaps": join(pcapFile(1, f), pcapFile(1, f, f)),
		"pcapng, every packet block, two byte orders": join(
			ngSection(le), ngInterface(le, 1, 0), ngSimple(le, f, len(f)), ngPacket(le, 0, 1, f, len(f)),
			ngSection(be), ngInterface(be, 1, 0), ngObsolete(be, 0, 1, f, len(f)), ngPacket(be, 0, 2, f, len(f))),
	}
	paths, _ := filepath.Glob("testdata/variants/*")
	if len(paths) < 7 {
		t.Fatalf("%d variants", len(paths))
	}
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		seeds[filepath.Base(path)] = file
	}
	return seeds
}

// Whatever byte a capture ends at, all packets before it are reported, and the
// error says where it was; it is a clean end only where a packet ends.
func TestCutAnywhere(t *testing.T) {
	for name, file := range damageSeeds(t) {
		want, _, err := readAll(t, file, Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		before := 0
		for n := 1; n < len(file); n++ {
			packets, src, err := readAll(t, file[:n], Options{Window: minWindow})
			if len(packets) < before || len(packets) > 0 && !reflect.DeepEqual(packets, want[:len(packets)]) {
				t.Fatalf("%s cut at %d: %d packets, %d with a byte less", name, n, len(packets), before)
			}
			before = len(packets)
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Problem == "" || e.Remedy == "" || e.Offset > int64(n)) {
				t.Fatalf("%s cut at %d: %v", name, n, err)
			}
			if src != nil {
				src.Close()
			}
		}
		if before > len(want) || before < len(want)-1 {
			t.Errorf("%s: %d packets without its last byte, %d with it", name, before, len(want))
		}
	}
}

// Whatever bit of a capture is wrong, all packets before it are reported, and
// what follows is read or ends in an error that says where it was.
func TestFlippedAnywhere(t *testing.T) {
	for name, file := range damageSeeds(t) {
		want, _, _ := readAll(t, file, Options{})
		for n := range file {
			whole, _, _ := readAll(t, file[:n], Options{Window: minWindow})
			for _, bit := range []byte{0x01, 0x10, 0x80} {
				bad := join(file[:n], []byte{file[n] ^ bit}, file[n+1:])
				checkReader(t, bad)
				got, _, _ := readAll(t, bad, Options{Window: minWindow})
				if len(got) < len(whole) || len(whole) > 0 && !reflect.DeepEqual(got[:len(whole)], want[:len(whole)]) {
					t.Fatalf("%s, byte %d ^ %#x: %d packets, %d come before it", name, n, bit, len(got), len(whole))
				}
			}
		}
	}
}
