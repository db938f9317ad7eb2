package analyzer

import "testing"

// onPaths tracks a connection that is recorded on each of the paths, 20 us
// apart.
func onPaths(paths ...uint32) (flows []Flow, totals Totals) {
	t := New(Config{OnFlow: func(f *Flow) { flows = append(flows, *f) }})
	for _, x := range connection(4000, 1e18) {
		for i, path := range paths {
			y := x
			y.Path, y.Time = path, x.Time+int64(i)*20e3
			t.Observe(&y)
		}
	}
	totals = t.Totals()
	t.Close()
	return flows, totals
}

// A packet recorded in a tunnel and out of it is one packet, whichever comes
// first, and however many paths there are.
func TestMirroredPathsAreOneFlow(t *testing.T) {
	for _, paths := range [][]uint32{{0, 1}, {1, 0}, {1, 2}, {2, 0, 1}} {
		flows, totals := onPaths(paths...)
		if len(flows) != 1 || totals.CaptureDuplicates != uint64(10*(len(paths)-1)) {
			t.Errorf("%v: %d flows, %d duplicates", paths, len(flows), totals.CaptureDuplicates)
			continue
		}
		if f := &flows[0]; f.Key.Path != paths[0] || f.Sides[f.Client].State != TimeWait || f.Handshake.Result != HandshakeEstablished {
			t.Errorf("%v: path %d, client in %s, opening %s", paths, f.Key.Path, f.Sides[f.Client].State, f.Handshake.Result)
		}
	}
}

// Two customers may use the same addresses and ports: what is on two paths and
// differs is two flows.
func TestPathsKeepFlowsApart(t *testing.T) {
	numbers := map[uint32]bool{}
	tr := New(Config{OnFlow: func(f *Flow) { numbers[f.Key.Path] = f.Close.Result == CloseClosed }})
	for _, x := range connection(4000, 1e18) {
		for path := range uint32(2) {
			y := x
			y.Path, y.Time = path, x.Time+int64(path)*20e3
			y.IPID += uint16(1000 * path)
			tr.Observe(&y)
		}
	}
	if n := tr.Totals().CaptureDuplicates; n != 0 {
		t.Errorf("%d duplicates", n)
	}
	tr.Close()
	if !numbers[0] || !numbers[1] || len(numbers) != 2 {
		t.Errorf("flows closed in order, by path: %v", numbers)
	}
}

// What is remembered of paths goes with the flows.
func TestPathsAreForgotten(t *testing.T) {
	tr := New(Config{})
	for i := range uint16(50) {
		for _, x := range connection(4000+i, 1e18) {
			for _, path := range []uint32{1, 0, 2} {
				y := x
				y.Path, y.Time = path, x.Time+int64(path)*20e3
				tr.Observe(&y)
			}
		}
	}
	if len(tr.paths) != 50 || len(tr.mirrors) != 100 {
		t.Errorf("%d paths and %d mirrors of 50 flows", len(tr.paths), len(tr.mirrors))
	}
	tr.Advance(2e18)
	if n := len(tr.paths) + len(tr.mirrors); n != 0 {
		t.Errorf("%d paths and mirrors of no flow", n)
	}
}
