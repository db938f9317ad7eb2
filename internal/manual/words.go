package manual

// The words of the output that are neither state nor finding.

func bases() []Entry {
	return titled("basis", []Entry{
		{Name: "observed", Means: "The side's own segment makes or proves it: what a side has sent is proof.",
			Example: `a > b  S   100
b > a  S.  300  ack 101  @+20ms
a > b  .   101  ack 301  @+100us`,
			Points: []Point{{Label: "here", Text: "the client's SYN_SENT is its own SYN; its ESTABLISHED, inferred when the SYN+ACK passes, " +
				"is proved by its ACK."}}},
		{Name: "inferred", Means: "Marked ?. The segment that causes it went past the tap towards the side, which has not yet proved that it arrived. " +
			"Later it is confirmed, or withdrawn when the side shows that it never did.",
			Example: `given a ESTABLISHED b ESTABLISHED
a > b  F.  100  ack 300
b > a  .   300  ack 101  @+20ms`,
			Points: []Point{{Label: "here", Text: "the server's ACK proves that its CLOSE_WAIT began; that the client is in FIN_WAIT_2 is " +
				"only likely: the ACK may be lost behind the tap."}}},
		{Name: "assumed", Means: "Marked ~. No segment says so: a timer of the chosen --os has run out, or the capture missed the beginning.",
			Example: `given a ESTABLISHED b ESTABLISHED
a > b  F.  100  ack 300
b > a  F.  300  ack 101  @+20ms
a > b  .   101  ack 301  @+100us
wait 61s`,
			Points: []Point{{Label: "here", Text: "the client's TIME_WAIT ends after 60 s: no packet shows that."}}},
		{Name: "withdrawn", Means: "A transition that was inferred and then disproved: the side sent again what had seemed acknowledged. " +
			"It stays in the record, marked, and is no part of the believed history.",
			Example: `given a ESTABLISHED b ESTABLISHED
a > b  F.  100  ack 300
b > a  .   300  ack 101  @+20ms
a > b  F.  100  ack 300  @+250ms
b > a  .   300  ack 101  @+20ms`,
			Points: []Point{{Label: "here", Text: "the client sends its FIN again: the first ACK never reached it, and its FIN_WAIT_2 is taken back."}}},
	})
}

func severities() []Entry {
	return titled("severity", []Entry{
		{Name: "info", Means: "Explains; nobody needs to act."},
		{Name: "warning", Means: "May need someone's action."},
		{Name: "error", Means: "Needs someone's action."},
		{Name: "pending", Means: "The condition holds, but the capture ended before its threshold passed (--stuck-after): severity info."},
	})
}

func openings() []Entry {
	return titled("result of the opening", []Entry{
		{Name: "midstream", Means: "The capture began when the connection was already open."},
		{Name: "unanswered", Means: "SYN was sent, perhaps several times; nothing came back."},
		{Name: "half-open", Means: "SYN and SYN+ACK were seen; the handshake's last ACK was not, or was not accepted."},
		{Name: "established", Means: "SYN, SYN+ACK and ACK: the connection opened."},
		{Name: "refused", Means: "RST answered the SYN: nothing listens there, or a firewall says so."},
		{Name: "aborted", Means: "RST after the SYN+ACK, before the connection was open."},
		{Name: "rejected-icmp", Means: "An ICMP error answered the SYN: a router or firewall says no."},
	})
}

func closings() []Entry {
	return titled("result of the closing", []Entry{
		{Name: "open", Means: "Nobody has closed."},
		{Name: "half-closed", Means: "One side has sent FIN and it is acknowledged; the other owes its own."},
		{Name: "closing", Means: "FINs are on their way; not all are acknowledged."},
		{Name: "closed", Means: "Both sides have closed in order, or the attempt to open was given up."},
		{Name: "reset", Means: "RST ended it while it was opening, or after the first FIN."},
		{Name: "aborted", Means: "RST ended an open connection that no FIN had begun to close."},
		{Name: "unknown", Means: "The capture does not say."},
	})
}

func titled(title string, list []Entry) []Entry {
	for i := range list {
		list[i].Title = title
	}
	return list
}
