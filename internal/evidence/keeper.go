package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/capture"
)

// The defaults of a Config.
const (
	DefaultFileOctets = 16 << 20
	DefaultFollow     = 5 * time.Minute
	DefaultPerMinute  = 600
	DefaultOpen       = 64
)

// Config changes what a Keeper keeps. Zero fields stand for the defaults.
type Config struct {
	Memory int64 // of the Store, in octets
	Snap   int   // how many octets of each frame are kept
	// FileOctets is the size of a file at the most. It is brought between what a
	// few frames take and half of the Dir's Limits.
	FileOctets int64
	// Follow is for how long after a finding the frames of its flow are added to
	// its file. Until then, or until the flow ends, the file is not complete.
	Follow time.Duration
	// PerMinute is how many files are begun in a minute, a tenth of them at once,
	// so that a flood of findings costs a bounded share of the time that sniffing
	// needs.
	PerMinute int
	// Open is how many files grow at once. When there are more, the one that was
	// begun first is complete. There are fewer where the Dir's Limits have no room
	// for so many.
	Open int
}

// Keeper writes a file for each finding, with the frames of its flow. Its methods
// are for the goroutine that reads the source and runs the Tracker: Frame is
// capture.Options.OnFrame; Claim comes before the packet goes to the Tracker;
// Finding and Ended are called by Config.OnFinding and Config.OnFlow.
type Keeper struct {
	cfg    Config
	dir    *Dir
	store  *Store
	flows  map[analyzer.Key]*evidence // the first of each flow; more in its next
	open   []*evidence                // in the order in which they were begun
	chain  []uint64                   // of the flow at hand
	shown  capture.Frame              // here so that it is not allocated
	tokens float64                    // files that may be begun
	filled int64                      // when tokens were counted
	second int64                      // in which Advance has looked
	counts Counts
}

// Counts are what a Keeper has done.
type Counts struct {
	Files     uint64 // begun
	Frames    uint64 // written
	Gone      uint64 // frames of flows with findings that were overwritten before
	Skipped   uint64 // findings without a file: beyond Config.PerMinute, or the Dir failed
	Unclaimed uint64 // segments whose frame was not found
}

// evidence is the file of one finding that still grows.
type evidence struct {
	*file
	key   analyzer.Key
	flow  int
	until int64 // when it is complete
	next  *evidence
}

// NewKeeper makes one. Several may share a Dir.
func NewKeeper(dir *Dir, cfg Config) *Keeper {
	cfg.Follow = cmp.Or(max(cfg.Follow, 0), DefaultFollow)
	cfg.PerMinute = cmp.Or(max(cfg.PerMinute, 0), DefaultPerMinute)
	cfg.Open = cmp.Or(max(cfg.Open, 0), DefaultOpen)
	k := &Keeper{dir: dir, store: NewStore(cfg.Memory, cfg.Snap),
		flows: map[analyzer.Key]*evidence{}, tokens: float64(cfg.PerMinute)}
	const few = 16
	cfg.FileOctets = min(cmp.Or(max(cfg.FileOctets, 0), DefaultFileOctets), dir.limits.Octets/2)
	cfg.FileOctets = max(cfg.FileOctets, few*k.record()+remark)
	// With all that are open at their bound, there is room for one that begins.
	cfg.Open = int(max(1, min(int64(cfg.Open), dir.limits.Octets/cfg.FileOctets-1)))
	k.cfg = cfg
	return k
}

// Store is what the Keeper has the frames in.
func (k *Keeper) Store() *Store { return k.store }

// Counts returns the counts so far.
func (k *Keeper) Counts() Counts { return k.counts }

// Frame takes a frame as it was captured, whatever it carries.
func (k *Keeper) Frame(f *capture.Frame) { k.store.Add(f) }

// Claim says which flow a frame is of: key is analyzer.KeyOf of the segment that
// was found in it, or that an ICMP error in it quotes. Where a connection follows
// another one on the same addresses and ports, its first frame may be in the
// files of both. The copies of a flow on another path (analyzer.Key) are not in
// its files.
func (k *Keeper) Claim(frame uint64, key analyzer.Key) {
	ordinal, ok := k.store.claim(frame, key)
	if !ok {
		k.counts.Unclaimed++
		return
	}
	if len(k.flows) == 0 {
		return
	}
	for e := k.flows[key]; e != nil; e = e.next {
		if !k.add(e, ordinal, nil) {
			k.drop(e)
		}
	}
}

// Finding writes what there is of a flow into a file for the finding. Now is the
// clock, ns since 1970-01-01 UTC; it keeps nothing of f and n.
func (k *Keeper) Finding(f *analyzer.Flow, n *analyzer.Finding, now int64) {
	if !k.allowed(now) {
		k.counts.Skipped++
		return
	}
	out := k.dir.create(nameOf(f, n), now)
	if out == nil {
		k.counts.Skipped++
		return
	}
	k.counts.Files++
	e := &evidence{file: out, key: f.Key, flow: f.Number, until: now + int64(k.cfg.Follow)}
	k.chain = k.store.flow(k.chain[:0], f.Key, f.FirstFrame)
	gone := k.gone(f)
	k.counts.Gone += gone
	out.w.Comment(k.about(f, n, gone))
	if !k.begin(e, n) {
		return
	}
	e.next = k.flows[e.key]
	k.flows[e.key] = e
	k.open = append(k.open, e)
	if len(k.open) > k.cfg.Open {
		k.finish(k.open[0])
	}
}

// gone is how many of a flow's frames up to now were overwritten. Copies on other
// paths count as frames of the flow and are not in its chain: where the first
// frame may still be held, nothing is gone.
func (k *Keeper) gone(f *analyzer.Flow) uint64 {
	_, first := analyzer.SplitFrame(f.FirstFrame)
	if k.store.reaches(first) {
		return 0
	}
	return f.Frames - min(uint64(len(k.chain)), f.Frames)
}

// allowed counts the files that are begun: a token bucket.
func (k *Keeper) allowed(now int64) bool {
	rate := float64(k.cfg.PerMinute)
	if now > k.filled {
		k.tokens += rate * float64(now-k.filled) / float64(time.Minute)
		k.filled = now
	}
	k.tokens = min(k.tokens, max(1, rate/10))
	if k.tokens < 1 {
		return false
	}
	k.tokens--
	return true
}

// about is what a file says of itself.
func (k *Keeper) about(f *analyzer.Flow, n *analyzer.Finding, gone uint64) string {
	text := Sentence(f, n) + "\n"
	if gone == 0 {
		text += "All frames of the flow up to the finding are here"
	} else {
		text += strconv.FormatUint(gone, 10) + " of the flow's frames up to the finding are not here: the ring of headers no longer has them"
	}
	return fmt.Sprintf("%s. Of each frame the first %d octets were kept.", text, k.store.snap)
}

// Sentence is what a finding says, for whoever opens the packet in Wireshark.
func Sentence(f *analyzer.Flow, n *analyzer.Finding) string {
	text := "tcpflow-states: " + n.Severity.String() + " " + n.Detector.Name
	switch n.Side {
	case f.Client:
		text += " (client)"
	case f.Server():
		text += " (server)"
	}
	text += ", flow " + strconv.Itoa(f.Number) + ": " + n.Evidence
	if n.Doubt != "" {
		text += " (doubt: " + n.Doubt + ")"
	}
	return text
}

// begin writes the chain into a file. Where that is too much for it, the frames
// in the middle are left out: the opening and the finding are at the ends, and a
// quarter of the file stays for what is to come.
func (k *Keeper) begin(e *evidence, n *analyzer.Finding) bool {
	frames := k.chain
	most := int((k.cfg.FileOctets - remark) * 3 / 4 / k.record())
	left := max(0, len(frames)-most)
	_, subject := analyzer.SplitFrame(n.Frame)
	for i := 0; i < len(frames); i++ {
		var comments []string
		if left > 0 && i == most/2 {
			i += left
			comments = append(comments, fmt.Sprintf("tcpflow-states: %d frames before this one are left out: the file's bound is %d octets", left, k.cfg.FileOctets))
		}
		if n.Frame != 0 && k.store.entry(frames[i]).number == subject {
			comments = append(comments, "tcpflow-states: "+n.Detector.Name+": "+n.Evidence)
		}
		if !k.add(e, frames[i], comments) {
			return false
		}
	}
	return true
}

// record is the most that a frame takes in a file.
func (k *Keeper) record() int64 { return int64(k.store.snap) + around }

// remark is room for the comments of a file, and for what describes its
// interfaces.
const remark = 4096

// add writes a frame into a file. It is false when that was the last one.
func (k *Keeper) add(e *evidence, ordinal uint64, comments []string) bool {
	k.store.frame(ordinal, &k.shown)
	e.clock = max(e.clock, k.shown.Time)
	last := e.w.Size()+2*k.record()+remark > k.cfg.FileOctets
	if last {
		comments = append(comments, fmt.Sprintf("tcpflow-states: the last frame here: the file's bound is %d octets", k.cfg.FileOctets))
	}
	if !e.write(&k.shown, comments) {
		return false
	}
	k.counts.Frames++
	if last {
		e.finish()
	}
	return !last
}

// Ended completes the files of a flow.
func (k *Keeper) Ended(f *analyzer.Flow) {
	if len(k.flows) == 0 {
		return
	}
	for e := k.flows[f.Key]; e != nil; e = e.next {
		if e.flow == f.Number {
			k.finish(e)
		}
	}
}

// Advance is to be called with the clock every second or so, ns since 1970-01-01
// UTC, also when nothing comes. It completes the files that were followed for
// long enough, and hands to the others what was held back, so that what is not
// complete can be looked at as well.
func (k *Keeper) Advance(now int64) {
	if now/int64(time.Second) == k.second {
		return
	}
	k.second = now / int64(time.Second)
	for i := 0; i < len(k.open); {
		e := k.open[i]
		e.clock = max(e.clock, now)
		switch {
		case now >= e.until:
			k.finish(e)
		case e.held && !e.flush():
			k.drop(e)
		default:
			i++
		}
	}
}

// Close completes all files.
func (k *Keeper) Close() {
	for len(k.open) > 0 {
		k.finish(k.open[0])
	}
}

func (k *Keeper) finish(e *evidence) {
	e.file.finish()
	k.drop(e)
}

// drop forgets a file that is complete. Its next stays, for who goes along the
// list.
func (k *Keeper) drop(e *evidence) {
	if i := slices.Index(k.open, e); i >= 0 {
		k.open = slices.Delete(k.open, i, i+1)
	}
	if first := k.flows[e.key]; first == e {
		if e.next == nil {
			delete(k.flows, e.key)
		} else {
			k.flows[e.key] = e.next
		}
		return
	}
	for p := k.flows[e.key]; p != nil; p = p.next {
		if p.next == e {
			p.next = e.next
		}
	}
}
