package analyzer

import "fmt"

var tupleReuse = &Detector{
	Name:  "tuple-reuse-in-2msl",
	Doc:   "a new connection on an address pair whose last one is still in TIME_WAIT",
	Cause: "the client reconnects fast from the same port, or a NAT gives one port to several hosts",
	Causes: []string{
		"too few ephemeral ports for so many connections to one server",
		"a client that binds a fixed source port, as health checks and load tests do",
	},
	LooksLike: []string{
		"the connection's own SYN, sent again",
		"a pair whose last connection was refused or reset: it is free at once",
		"a pair whose 2 MSL are over",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
b > a  F.  300000  ack 100000
a > b  F.  100000  ack 300001
b > a  .   300001  ack 100001  @+10ms
a > b  S   50      mss 1460  @+2s
b > a  .   300001  ack 100001  @+10ms
a > b  R   100001  win 0
a > b  S   50      mss 1460  @+1s
b > a  S.  9000    ack 51  mss 1460  @+10ms
a > b  .   51      ack 9001
`,
	Next:      "on the client: ss -tan state time-wait | wc -l; sysctl net.ipv4.ip_local_port_range; then the NAT's port allocation",
	Reference: "RFC 9293 3.6.1, RFC 6191, RFC 1122 4.2.2.13",
	Severity:  Warning,
	Wants:     FactReuse,
	Segment:   onTupleReuse,
}

// onTupleReuse looks at the first segment on a pair used before. With a higher
// sequence number, or a newer timestamp, the SYN is legal and accepted (RFC
// 6191); otherwise the side in TIME_WAIT answers for the old connection, or
// not at all. A pair that was reset, or refused, is free at once.
func onTupleReuse(d *Detector, st *Step) {
	f, x, s := st.Flow, st.Segment, st.From
	old := f.older
	if old == nil || x.Flags&(SYN|ACK) != SYN {
		return
	}
	w := NoSide
	for side := range Side(2) {
		if old.Sides[side].State == TimeWait {
			w = side
		}
	}
	if w == NoSide {
		return
	}
	was := &old.Sides[s]
	n := Finding{Detector: d, Severity: Info, Side: s, At: x.Time, Frame: x.Frame,
		For: x.Time - max(old.Sides[w].Since, old.Sides[w].timeWait)}
	how := "with a higher sequence number, which may reopen it"
	switch newer := x.Options.Set&OptTimestamps != 0 && was.hasTS; {
	case newer && int32(x.Options.TSVal-was.tsMax) > 0:
		how = "with a newer timestamp, which may reopen it"
	case newer || !was.nxt.LessEq(x.Seq):
		n.Severity = d.Severity
		how = "with an older number, which the side in TIME_WAIT does not take for a new connection"
	}
	n.Evidence = fmt.Sprintf("%s's SYN (frame %s) comes %s after the last connection (frames %s to %s) ended, %s; the %s is in TIME_WAIT for %s",
		f.who(s), FrameText(x.Frame), since(n.For), FrameText(old.FirstFrame), FrameText(old.LastFrame), how, old.who(w), since(int64(f.profile.TimeWait)))
	f.Raise(n)
}
