package analyzer

import "fmt"

var tfoDataIgnored = &Detector{
	Name:  "tfo-data-ignored",
	Doc:   "a server that speaks TCP Fast Open did not take the data of the SYN",
	Cause: "its Fast Open key has changed, or the backends of one address have different keys: the client's cookie is not valid there",
	Causes: []string{
		"the client's address is not the one that its cookie was made for: another NAT address, another network",
		"a middlebox answers in the server's name, with cookies of its own",
	},
	LooksLike: []string{
		"a server without Fast Open: it offers no cookie, and is in its right",
		"a SYN that only asks for a cookie: it has no data to take",
		"a SYN that was sent again, without its data",
	},
	Example: `
a > b  S   100:300  mss 1460  tfo
b > a  S.  300      ack 101  mss 1460  tfo  @+10ms
a > b  P.  101:301  ack 301
b > a  .   301      ack 301  @+10ms
`,
	Next:      "compare net.ipv4.tcp_fastopen_key on all servers of the address; nstat -az TcpExtTCPFastOpenPassiveFail TcpExtTCPFastOpenActiveFail",
	Reference: "RFC 7413 4.2",
	Severity:  Info,
	End:       endTFODataIgnored,
}

// endTFODataIgnored wants a SYN+ACK that offers a new cookie and acknowledges
// the SYN alone. A server without Fast Open, or with its queue full, sends none
// and is in its right; and a SYN that was sent again, without data, tells
// nothing.
func endTFODataIgnored(d *Detector, f *Flow) {
	c, v := f.Client, f.Server()
	sent, answer := f.entered(c, SynSent), f.entered(v, SynReceived)
	if f.synData == 0 || f.fastOpen || f.synRetransmits != 0 || sent == nil || answer == nil || answer.Basis != Observed {
		return
	}
	if f.Sides[c].Offered.Set&f.Sides[v].Offered.Set&OptFastOpen == 0 {
		return
	}
	f.Raise(Finding{Detector: d, Severity: d.Severity, Side: v, At: answer.Time, Frame: answer.Frame, Frames: []uint64{sent.Frame},
		Evidence: fmt.Sprintf("client's SYN (frame %s) carries %d octets; the server's SYN+ACK (frame %s) acknowledges none of them and offers another cookie: the client owes them again, a round trip later",
			FrameText(sent.Frame), f.synData, FrameText(answer.Frame))})
}
