package report

// The types of this file are the flow object of `-o json` and `-o ndjson`, for
// who decodes it in Go and for docs/schema.json, which is made from them and
// their doc tags. The encoder (json.go) writes the same bytes without them.
// An unknown value is left out: pointers are nil, omitzero fields zero.

// Flow is one flow, as interface.md shows it.
type Flow struct {
	Type         string       `json:"type" enum:"flow" doc:"what this object is"`
	Schema       string       `json:"schema" enum:"tcpflow-states/1" doc:"version of this schema"`
	Flow         int          `json:"flow" doc:"number of the flow in this output, from 0, in the order of first frames"`
	File         Text         `json:"file,omitzero" doc:"the capture it is in, where several were given and each is read for itself (--separate)"`
	Client       Peer         `json:"client" doc:"the side that sent the first SYN"`
	Server       Peer         `json:"server" doc:"the other side"`
	Roles        string       `json:"roles" enum:"observed,guessed" doc:"whether a SYN shows who is the client"`
	Link         *Link        `json:"link,omitempty" doc:"where the first frame was seen, as far as the capture says"`
	Start        Time         `json:"start" doc:"time of the first frame"`
	End          Time         `json:"end" doc:"time of the last frame"`
	FirstFrame   uint64       `json:"first_frame" doc:"number of the first frame in its capture, from 1"`
	FirstCapture int          `json:"first_capture,omitzero" doc:"where several captures are read as one: which of them that frame is in, as the number, from 1, of an item of meta.files and summary.files"`
	LastFrame    uint64       `json:"last_frame" doc:"number of the last frame"`
	LastCapture  int          `json:"last_capture,omitzero" doc:"which capture that frame is in, as first_capture"`
	Frames       uint64       `json:"frames" doc:"frames of this flow"`
	State        States       `json:"state" doc:"state of each side at the end"`
	Basis        Bases        `json:"basis" doc:"on what evidence each state is claimed"`
	InState      *InState     `json:"in_state,omitempty" doc:"for how long each side has been in its state"`
	ReplacedBy   *int         `json:"replaced_by,omitempty" doc:"number of the flow that took over the address pair"`
	Transitions  []Transition `json:"transitions" doc:"every change of state, in order; withdrawn ones stay, marked"`
	Handshake    Handshake    `json:"handshake" doc:"how the opening went"`
	Close        Close        `json:"close" doc:"how far the closing went"`
	Counters     BothCounters `json:"counters" doc:"what each side sent"`
	Findings     []Finding    `json:"findings" doc:"what is wrong, or worth knowing"`
	Zeek         *Zeek        `json:"zeek,omitempty" doc:"what Zeek's conn.log says of the flow: docs/compatibility.md"`
	Wireshark    *Wireshark   `json:"wireshark,omitempty" doc:"what tshark says of it: docs/compatibility.md"`
}

// Wireshark is what Wireshark says of a flow.
type Wireshark struct {
	Stream       int   `json:"stream" doc:"tcp.stream of the first frame"`
	Completeness uint8 `json:"completeness" doc:"tcp.completeness of that stream"`
}

// Zeek is what Zeek says of a flow.
type Zeek struct {
	ConnState string `json:"conn_state" enum:"S0,S1,SF,REJ,S2,S3,RSTO,RSTR,RSTOS0,RSTRH,SH,SHR,OTH" doc:"conn_state"`
	History   string `json:"history" doc:"history"`
}

// Peer is one side's address.
type Peer struct {
	Addr string `json:"addr" doc:"IPv4 or IPv6 address"`
	Port uint16 `json:"port" doc:"TCP port"`
}

// Link is where a flow was seen.
type Link struct {
	Interface Text     `json:"interface,omitzero" doc:"interface, as the capture names it"`
	VLAN      []uint16 `json:"vlan,omitempty" doc:"VLAN identifiers, outermost first"`
	Tunnel    []Text   `json:"tunnel,omitempty" doc:"tunnels, outermost first"`
}

// States holds both sides' states.
type States struct {
	Client string `json:"client" enum:"@state" doc:"the client's"`
	Server string `json:"server" enum:"@state" doc:"the server's"`
}

// Bases holds the evidence of both sides' states.
type Bases struct {
	Client string `json:"client" enum:"@basis" doc:"the client's"`
	Server string `json:"server" enum:"@basis" doc:"the server's"`
}

// InState says for how long each side has been in its state.
type InState struct {
	Client *Seconds `json:"client,omitempty" doc:"the client, s"`
	Server *Seconds `json:"server,omitempty" doc:"the server, s"`
}

// Transition is one side's change of state.
type Transition struct {
	Side             string `json:"side" enum:"client,server" doc:"whose state changed"`
	Time             Time   `json:"t" doc:"when"`
	Frame            uint64 `json:"frame,omitzero" doc:"the frame that made it; left out for a timer"`
	Capture          int    `json:"capture,omitzero" doc:"which capture that frame is in, as first_capture of the flow"`
	From             string `json:"from" enum:"@state" doc:"state before"`
	To               string `json:"to" enum:"@state" doc:"state after"`
	Trigger          string `json:"trigger" enum:"@event" doc:"what happened to the side"`
	Basis            string `json:"basis" enum:"@basis" doc:"observed: its own segment; inferred: a segment on its way to it; assumed: no segment says so"`
	ConfirmedAt      *Time  `json:"confirmed_at,omitempty" doc:"when the side's own segment proved it"`
	ConfirmedFrame   uint64 `json:"confirmed_frame,omitzero" doc:"that segment's frame"`
	ConfirmedCapture int    `json:"confirmed_capture,omitzero" doc:"which capture that frame is in, as first_capture of the flow"`
	Withdrawn        Text   `json:"withdrawn,omitzero" doc:"why it was taken back; it is then no part of the believed history"`
	WithdrawnFrame   uint64 `json:"withdrawn_frame,omitzero" doc:"the frame that disproved it"`
	WithdrawnCapture int    `json:"withdrawn_capture,omitzero" doc:"which capture that frame is in, as first_capture of the flow"`
}

// Handshake is how the opening went.
type Handshake struct {
	Result            string      `json:"result" enum:"@handshake" doc:"how the opening ended"`
	RTT               *Seconds    `json:"rtt,omitempty" doc:"round trip of the handshake, s"`
	RTTServer         *Seconds    `json:"rtt_server,omitempty" doc:"its half from the tap to the server and back, s"`
	RTTClient         *Seconds    `json:"rtt_client,omitempty" doc:"its half from the tap to the client and back, s"`
	Tap               string      `json:"tap,omitzero" enum:"near-client,near-server,middle" doc:"where the capture was taken, by these halves"`
	SYNRetransmits    int         `json:"syn_retransmits" doc:"times that the SYN was sent again"`
	SYNACKRetransmits int         `json:"synack_retransmits" doc:"times that the SYN+ACK was sent again"`
	ClientOptions     *SYNOptions `json:"client_options,omitempty" doc:"options of the client's SYN; left out when it was not captured whole"`
	ServerOptions     *SYNOptions `json:"server_options,omitempty" doc:"options of the server's SYN+ACK"`
}

// SYNOptions are the TCP options that a side's SYN offered.
type SYNOptions struct {
	MSS        *uint16 `json:"mss,omitempty" doc:"maximum segment size, octets"`
	WScale     *uint8  `json:"wscale,omitempty" doc:"window scale, shift count"`
	SACK       bool    `json:"sack" doc:"SACK permitted"`
	Timestamps bool    `json:"timestamps" doc:"timestamps"`
	FastOpen   bool    `json:"fastopen" doc:"Fast Open cookie or request"`
}

// Close is how far the closing went.
type Close struct {
	Result       string   `json:"result" enum:"@close" doc:"how far the closing went"`
	ActiveCloser string   `json:"active_closer,omitzero" enum:"client,server" doc:"who sent the first FIN or RST"`
	By           string   `json:"by,omitzero" enum:"FIN,RST,ICMP,timeout" doc:"what began it"`
	Duration     *Seconds `json:"duration,omitempty" doc:"from the first FIN or RST to the last change of state, or to the end, s"`
}

// BothCounters count what each side sent.
type BothCounters struct {
	Client Counters `json:"client" doc:"the client's"`
	Server Counters `json:"server" doc:"the server's"`
}

// Counters count one side's own segments.
type Counters struct {
	Segments          uint64 `json:"segments" doc:"all but capture duplicates"`
	Bytes             uint64 `json:"bytes" doc:"payload octets, each counted once"`
	Retransmitted     uint64 `json:"retransmitted" doc:"segments that Wireshark calls retransmissions: tcp.analysis.retransmission"`
	OutOfOrder        uint64 `json:"out_of_order" doc:"tcp.analysis.out_of_order, as Wireshark counts"`
	DuplicateACK      uint64 `json:"duplicate_ack" doc:"tcp.analysis.duplicate_ack, as Wireshark counts"`
	KeepAlive         uint64 `json:"keep_alive" doc:"tcp.analysis.keep_alive, as Wireshark counts"`
	ZeroWindow        uint64 `json:"zero_window" doc:"tcp.analysis.zero_window, as Wireshark counts"`
	Resets            uint64 `json:"resets" doc:"RST segments"`
	SYN               uint64 `json:"syn" doc:"SYN segments"`
	FIN               uint64 `json:"fin" doc:"FIN segments"`
	CaptureDuplicates uint64 `json:"capture_duplicates" doc:"the same packet recorded again"`
	CaptureLostBytes  uint64 `json:"capture_lost_bytes" doc:"octets that the peer acknowledged and the capture does not have"`
}

// Finding is one thing that is wrong, or worth knowing, about a flow.
type Finding struct {
	Name      string   `json:"name" doc:"what kind: see tcpflow-states explain"`
	Severity  string   `json:"severity" enum:"@severity" doc:"error needs someone, warning may, info explains"`
	Side      string   `json:"side,omitzero" enum:"client,server" doc:"whom it is about; left out when it is the flow"`
	At        Time     `json:"at" doc:"when it began"`
	Last      *Time    `json:"last,omitempty" doc:"when it was last seen, where it was seen more than once"`
	Frame     uint64   `json:"frame,omitzero" doc:"the first frame of the evidence"`
	Capture   int      `json:"capture,omitzero" doc:"where several captures are read as one: which of them that frame is in, as the number, from 1, of an item of meta.files and summary.files"`
	Frames    []uint64 `json:"frames,omitempty" doc:"further frames of the evidence"`
	Captures  []int    `json:"captures,omitempty" doc:"which capture each of these frames is in, as capture"`
	For       *Seconds `json:"for,omitempty" doc:"how long the condition lasted, s"`
	Count     int      `json:"count" doc:"how often"`
	Pending   bool     `json:"pending,omitzero" doc:"the capture ended before the threshold passed"`
	Evidence  Text     `json:"evidence" doc:"one sentence with the numbers in it"`
	Doubt     Text     `json:"doubt,omitzero" doc:"what lowers the certainty"`
	Cause     Text     `json:"cause,omitzero" doc:"the likely cause"`
	Next      Text     `json:"next,omitzero" doc:"what to look at next"`
	Reference Text     `json:"reference,omitzero" doc:"the clause that it rests on"`
}
