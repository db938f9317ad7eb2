package analyzer

var neverClosed = &Detector{
	Name:  "never-closed",
	Doc:   "a connection is open and silent, without keep-alives, when the capture ends",
	Cause: "a connection that a pool keeps or that somebody forgot; what lies between may forget it too",
	Causes: []string{
		"an application that waits: a subscription, a long poll, a database's LISTEN",
		"a peer that went away without a word: without keep-alives nobody notices",
		"a leak: the application has lost the descriptor",
	},
	LooksLike: []string{
		"a capture that stops: each ends with connections that are open",
		"a connection with keep-alives: the next is not yet due",
		"a connection of which only the middle was captured",
	},
	Example: `
given a ESTABLISHED b ESTABLISHED
a > b  P.  100:200  ack 300
b > a  P.  300:900  ack 200  @+10ms
a > b  .   200      ack 900
wait 10m
`,
	Next:      "on both hosts: ss -tanpo state established '( sport = :PORT or dport = :PORT )'; is there a timer:(keepalive,...)?",
	Reference: "RFC 9293 3.8.4, RFC 5382 5 (REQ-5)",
	Severity:  Info,
	End:       endNeverClosed,
}

// endNeverClosed wants silence beyond the limit. Where keep-alives run the
// next may not be due; where something else holds the connection up, that is
// the news.
func endNeverClosed(d *Detector, f *Flow) {
	talker := Side(0)
	for s := range Side(2) {
		e, p := &f.Sides[s], &f.Sides[s.Peer()]
		if e.State != Established || e.Basis == Assumed || e.LastSent == 0 || f.keptAlive(s) {
			return
		}
		if !p.hasACK || p.ack.Less(e.nxt) {
			return // not idle: something waits for its acknowledgment
		}
		if e.LastFrame == f.LastFrame {
			talker = s
		}
		for _, other := range [...]*Detector{peerVanished, keepaliveTimeout, zeroWindowAbort, zeroWindowStall} {
			if f.finding(other, s) != nil {
				return
			}
		}
	}
	silent := f.Now - f.End
	if f.overdue(Established, silent) || f.replaced() {
		return
	}
	n := Finding{Detector: d, Severity: d.Severity, Side: NoSide, At: f.End, Last: f.Now, Frame: f.LastFrame, For: silent}
	n.Evidence = "open for " + since(f.Now-f.Start) + " and silent for the last " + since(silent) + ", since frame " +
		FrameText(f.LastFrame) + " of the " + f.who(talker) + ": no FIN, no RST, no keep-alive"
	n.lower(f.captureDoubt(n.At, n.Last))
	f.Raise(n)
}

// keptAlive reports whether a side's next keep-alive is not overdue: the first
// tells nothing of the interval.
func (f *Flow) keptAlive(s Side) bool {
	r := f.Remark(FactKeepAlive, s)
	if r == nil {
		return false
	}
	return r.Count < 2 || f.Now-r.Last <= 2*(r.Last-r.First)/int64(r.Count-1)
}
