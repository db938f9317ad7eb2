package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
	"github.com/tcpflow-states/tcpflow-states/internal/evidence"
	"github.com/tcpflow-states/tcpflow-states/internal/privilege"
	"github.com/tcpflow-states/tcpflow-states/report"
)

// keepOptions say which packets of a live capture are kept.
type keepOptions struct {
	write    string // a directory; empty: no files of findings
	writeAll string // likewise
	size     int64  // of all files in one of them, MiB
	files    int
	rotate   int64 // size of one file of --write-all, MiB
	every    time.Duration
}

func (o *keepOptions) flags(fs *pflag.FlagSet) {
	fs.StringVar(&o.write, "write", "", "keep a pcapng file in `DIR` for each finding: warnings and errors, or those that the filters on findings choose")
	fs.StringVar(&o.writeAll, "write-all", "", "keep all frames in pcapng files in `DIR`")
	fs.Int64Var(&o.size, "write-size", evidence.DefaultOctets>>20, "let the files in such a directory have so many `MiB` together: beyond it the oldest go")
	fs.IntVar(&o.files, "write-files", evidence.DefaultFiles, "keep `N` files in such a directory at most")
	fs.Int64Var(&o.rotate, "rotate-size", evidence.DefaultRotateOctets>>20, "begin the next file of --write-all after so many `MiB`")
	fs.DurationVar(&o.every, "rotate-every", 0, "begin the next file of --write-all after so long, too")
}

func (o *keepOptions) check() error {
	switch {
	case o.size < 1 || o.files < 1 || o.rotate < 1:
		return errors.New("--write-size, --write-files and --rotate-size: give 1 or more")
	case o.every < 0:
		return fmt.Errorf("--rotate-every %s: give 0 (only by size) or more", o.every)
	}
	return nil
}

// matters reports whether a finding that the filters leave is worth a line, or a
// file: it may need somebody, or is asked for.
func (o *liveOptions) matters(n *analyzer.Finding) bool {
	return n.Severity >= analyzer.Warning || o.findings != nil || len(o.text["min-severity"]) > 0
}

// keep is what writes packets to the disk.
type keep struct {
	findings *evidence.Dir      // nil without --write
	all      *evidence.Dir      // nil without --write-all; both may be one
	keepers  []*evidence.Keeper // one for each lane; nil without --write
	rotator  *evidence.Rotator  // nil without --write-all
}

// open opens the directories, and makes those that are not there for the user that
// this process becomes.
func (k *keep) open(o *liveOptions) (err error) {
	if o.write != "" {
		if k.findings, err = o.directory("--write", o.write); err != nil {
			return err
		}
		for range o.workers {
			k.keepers = append(k.keepers, evidence.NewKeeper(k.findings, evidence.Config{Memory: evidence.DefaultMemory / int64(o.workers)}))
		}
	}
	switch {
	case o.writeAll == "":
		return nil
	case o.writeAll == o.write:
		k.all = k.findings
	default:
		if k.all, err = o.directory("--write-all", o.writeAll); err != nil {
			return err
		}
	}
	k.rotator = evidence.NewRotator(k.all, evidence.Rotation{Octets: o.rotate << 20, Every: o.every})
	return nil
}

// directory opens one of them.
func (o *liveOptions) directory(flag, path string) (*evidence.Dir, error) {
	_, err := os.Stat(path)
	missing := errors.Is(err, fs.ErrNotExist)
	dir, err := evidence.OpenDir(path, evidence.Limits{Octets: o.size << 20, Files: o.files}, func(text string) {
		complainTo(&o.asides, errors.New(text))
	})
	if err == nil && missing {
		err = privilege.Give(path, o.user)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return dir, nil
}

// paths are the directories that can still be written to when all else is given up.
func (k *keep) paths(o *liveOptions) (list []string) {
	for _, path := range []string{o.write, o.writeAll} {
		if path != "" {
			list = append(list, path)
		}
	}
	return list
}

// frames says who is shown the frames of each lane; nil: nobody.
func (k *keep) frames() func(lane int) func(*capture.Frame) {
	switch {
	case k.keepers != nil && k.rotator != nil:
		return func(lane int) func(*capture.Frame) {
			return func(f *capture.Frame) {
				k.keepers[lane].Frame(f)
				k.rotator.Frame(f)
			}
		}
	case k.keepers != nil:
		return func(lane int) func(*capture.Frame) { return k.keepers[lane].Frame }
	case k.rotator != nil:
		return func(int) func(*capture.Frame) { return k.rotator.Frame }
	}
	return nil
}

// close completes all files, and says what was kept.
func (k *keep) close(o *liveOptions) {
	var sum evidence.Counts
	for _, keeper := range k.keepers {
		keeper.Close()
		c := keeper.Counts()
		sum.Files, sum.Skipped, sum.Gone = sum.Files+c.Files, sum.Skipped+c.Skipped, sum.Gone+c.Gone
	}
	if k.rotator != nil {
		k.rotator.Close()
		if frames, lost := k.rotator.Counts(); lost > 0 || o.verbose {
			o.remarkOn(fmt.Sprintf("--write-all %s: %s frames written, %s could not be", o.writeAll, report.Thousands(frames), report.Thousands(lost)))
		}
	}
	if k.keepers != nil {
		text := fmt.Sprintf("--write %s: %s files of findings", o.write, report.Thousands(sum.Files))
		if sum.Skipped > 0 {
			text += fmt.Sprintf(", %s findings without one: too many at once, or the disk would not", report.Thousands(sum.Skipped))
		}
		if sum.Gone > 0 {
			text += fmt.Sprintf("; %s frames of theirs were no longer in memory", report.Thousands(sum.Gone))
		}
		o.remarkOn(text)
	}
	for _, dir := range []*evidence.Dir{k.findings, k.all} {
		if dir != nil {
			dir.Close() // a second time, where both are one, changes nothing
		}
	}
}
