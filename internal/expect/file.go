package expect

import (
	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Schema is the version of the expectation file that this package reads and
// writes.
const Schema = schemaPrefix + "1"

const schemaPrefix = "tcpflow-states/expect/"

// The types of this file are the keys of an expectation file, in the order in
// which a new one has them. The tags: yaml is the key, doc its sentence for
// people and editors, enum the names that it takes ("@state" stands for a list
// of the analyzer's), list what a bare list of names in place of a map of them
// means. docs/expect.schema.json is made from them.

// File is one expectation file.
type File struct {
	Schema  Text         `yaml:"schema" doc:"version of this file's keys: tcpflow-states/expect/1; may be left out"`
	Reason  Text         `yaml:"reason" doc:"why this capture is kept, and what its check is for; required"`
	Options Options      `yaml:"options" doc:"how the capture is analyzed"`
	Capture Capture      `yaml:"capture" doc:"what is expected of the capture as a whole"`
	Flows   []FlowExpect `yaml:"flows" doc:"what is expected of some of its flows"`

	source source
}

// Options are those of analyze.
type Options struct {
	Filter          Text  `yaml:"filter" doc:"read only the frames that match this tcpdump expression: --filter"`
	OS              Name  `yaml:"os" enum:"@os" doc:"operating system whose timers are assumed: --os"`
	StuckAfter      Stuck `yaml:"stuck_after" enum:"@state" doc:"a side is stuck when it has been in a state, silent, for so long: a duration, or one for each state: --stuck-after"`
	IgnoreVLAN      Flag  `yaml:"ignore_vlan" doc:"flows of one pair of addresses and ports are one in all VLANs: --ignore-vlan"`
	IgnoreTunnel    Flag  `yaml:"ignore_tunnel" doc:"the same for tunnels: --ignore-tunnel"`
	VerifyChecksums Flag  `yaml:"verify_checksums" doc:"pass over packets with a wrong checksum: --verify-checksums"`
}

// Capture is what is expected of a capture as a whole.
type Capture struct {
	Flows      Range         `yaml:"flows" doc:"how many flows there are"`
	Handshakes Counts        `yaml:"handshakes" enum:"@handshake" doc:"flows by handshake result; a result that is not named may come as often as it likes"`
	Closes     Counts        `yaml:"closes" enum:"@close" doc:"flows by close result"`
	States     StateCounts   `yaml:"states" doc:"sides by their state at the end: CLOSE_WAIT: 0 lets no side be left in it"`
	Handshake  RTTPercentile `yaml:"handshake" doc:"how long handshakes take, over all flows of which it is known"`
	Findings   Findings      `yaml:"findings" doc:"findings: each flow and side, or each subject across flows, has one of a name at most"`
}

// StateCounts count sides by state.
type StateCounts struct {
	Client Counts `yaml:"client" enum:"@state" doc:"clients"`
	Server Counts `yaml:"server" enum:"@state" doc:"servers"`
	Either Counts `yaml:"either" enum:"@state" doc:"both together"`
}

// RTTPercentile bounds the handshakes of a capture.
type RTTPercentile struct {
	RTT       Percentiles `yaml:"rtt" doc:"round trip"`
	RTTServer Percentiles `yaml:"rtt_server" doc:"its half from the tap to the server and back"`
	RTTClient Percentiles `yaml:"rtt_client" doc:"its half from the tap to the client and back"`
}

// Percentiles bound a distribution. A percentile is the least value that at
// least so many hundredths of all do not exceed (nearest rank): one that was seen.
type Percentiles struct {
	P50 Bound `yaml:"p50" doc:"median"`
	P95 Bound `yaml:"p95" doc:"95th percentile"`
	P99 Bound `yaml:"p99" doc:"99th percentile"`
	Max Bound `yaml:"max" doc:"highest"`
}

// Findings say which findings there must, may and must not be.
type Findings struct {
	Required  Counts `yaml:"required" enum:"@finding" list:"1.." doc:"there must be these: names, each at least once, or names with how many"`
	Allowed   Counts `yaml:"allowed" enum:"@finding" list:"0.." doc:"besides those required there may be these and no others: names, or names with how many where there are any; an empty list allows none"`
	Forbidden Choice `yaml:"forbidden" enum:"@finding,@severity" doc:"there must not be these: names, or a severity for all of it and above"`
}

// FlowExpect is what is expected of the flows that a match chooses.
type FlowExpect struct {
	Match     Match       `yaml:"match" doc:"which flows this is about; left out: all"`
	Roles     Choice      `yaml:"roles" enum:"observed,guessed" doc:"whether a SYN shows who is the client"`
	History   Histories   `yaml:"history" doc:"the states that each side goes through, the first and the last included, as believed in the end; … stands for any run of states, A|B for either"`
	State     Choices     `yaml:"state" enum:"@state" doc:"state of each side at the end"`
	Basis     Floors      `yaml:"basis" doc:"on what evidence each of these states is claimed, at least: observed is more than inferred, inferred more than assumed"`
	InState   Bounds      `yaml:"in_state" doc:"for how long each side has been in its state at the end"`
	Handshake Handshake   `yaml:"handshake" doc:"how the opening goes"`
	Close     Close       `yaml:"close" doc:"how the connection is closed"`
	Duration  Bound       `yaml:"duration" doc:"from the first frame to the last"`
	Frames    Range       `yaml:"frames" doc:"frames of the flow"`
	Counters  BothCounted `yaml:"counters" doc:"what each side sent"`
	Findings  Findings    `yaml:"findings" doc:"findings of the flow: each side has one of a name at most"`
}

// Match chooses flows: those that everything given applies to.
type Match struct {
	Flow   Numbers   `yaml:"flow" doc:"number of the flow, or several: the first column of analyze --all"`
	Client Endpoints `yaml:"client" doc:"the client: an address or CIDR, a port or range, or both: 10.0.0.0/8, :8000-8080, 10.0.0.5:51544, \"[fd00::/8]:443\"; or several"`
	Server Endpoints `yaml:"server" doc:"the server, in the same way: 10.0.0.9:5432 is a listener"`
	Host   Endpoints `yaml:"host" doc:"either side, in the same way"`
	Index  Index     `yaml:"index" doc:"only one of those flows, by the order of their first frames: 0 is the first"`
	Count  Range     `yaml:"count" doc:"how many flows there must be; left out: one or more"`
}

// Histories are of both sides.
type Histories struct {
	Client History `yaml:"client" doc:"the client's"`
	Server History `yaml:"server" doc:"the server's"`
}

// Choices are of both sides.
type Choices struct {
	Client Choice `yaml:"client" enum:"@state" doc:"the client's, or several, one of which it must be"`
	Server Choice `yaml:"server" enum:"@state" doc:"the server's"`
}

// Floors are of both sides.
type Floors struct {
	Client Name `yaml:"client" enum:"@basis" doc:"the client's"`
	Server Name `yaml:"server" enum:"@basis" doc:"the server's"`
}

// Bounds are of both sides.
type Bounds struct {
	Client Bound `yaml:"client" doc:"the client's"`
	Server Bound `yaml:"server" doc:"the server's"`
}

// Handshake is how an opening goes.
type Handshake struct {
	Result            Choice `yaml:"result" enum:"@handshake" doc:"how the opening ends"`
	RTT               Bound  `yaml:"rtt" doc:"its round trip"`
	RTTServer         Bound  `yaml:"rtt_server" doc:"its half from the tap to the server and back"`
	RTTClient         Bound  `yaml:"rtt_client" doc:"its half from the tap to the client and back"`
	Tap               Choice `yaml:"tap" enum:"near-client,near-server,middle" doc:"where the capture was taken, by these halves"`
	SYNRetransmits    Range  `yaml:"syn_retransmits" doc:"times that the SYN is sent again"`
	SYNACKRetransmits Range  `yaml:"synack_retransmits" doc:"times that the SYN+ACK is sent again"`
}

// Close is how far a closing goes.
type Close struct {
	Result       Choice `yaml:"result" enum:"@close" doc:"how far the closing goes"`
	ActiveCloser Choice `yaml:"active_closer" enum:"client,server" doc:"who sends the first FIN or RST"`
	By           Choice `yaml:"by" enum:"FIN,RST,ICMP,timeout" doc:"what begins it"`
	Duration     Bound  `yaml:"duration" doc:"from the first FIN or RST to the last change of state, or to the end"`
}

// BothCounted are the counters of both sides.
type BothCounted struct {
	Client Counters `yaml:"client" doc:"the client's"`
	Server Counters `yaml:"server" doc:"the server's"`
}

// Counters bound what one side sends.
type Counters struct {
	Segments          Range `yaml:"segments" doc:"all but capture duplicates"`
	Bytes             Range `yaml:"bytes" doc:"payload octets, each counted once"`
	Retransmitted     Range `yaml:"retransmitted" doc:"segments that Wireshark calls retransmissions"`
	OutOfOrder        Range `yaml:"out_of_order" doc:"as Wireshark counts"`
	DuplicateACK      Range `yaml:"duplicate_ack" doc:"as Wireshark counts"`
	KeepAlive         Range `yaml:"keep_alive" doc:"as Wireshark counts"`
	ZeroWindow        Range `yaml:"zero_window" doc:"as Wireshark counts"`
	Resets            Range `yaml:"resets" doc:"RST segments"`
	SYN               Range `yaml:"syn" doc:"SYN segments"`
	FIN               Range `yaml:"fin" doc:"FIN segments"`
	CaptureDuplicates Range `yaml:"capture_duplicates" doc:"the same packet recorded again"`
	CaptureLostBytes  Range `yaml:"capture_lost_bytes" doc:"octets that the peer acknowledged and the capture does not have"`
}

// counted are the counters of a flow behind the fields of Counters, in their
// order.
func (c *Counters) counted(of *analyzer.Counters) []counted {
	return []counted{
		{"segments", &c.Segments, of.Segments},
		{"bytes", &c.Bytes, of.Bytes},
		{"retransmitted", &c.Retransmitted, uint64(of.Retransmitted)},
		{"out_of_order", &c.OutOfOrder, uint64(of.OutOfOrder)},
		{"duplicate_ack", &c.DuplicateACK, uint64(of.DuplicateACK)},
		{"keep_alive", &c.KeepAlive, uint64(of.KeepAlive)},
		{"zero_window", &c.ZeroWindow, uint64(of.ZeroWindow)},
		{"resets", &c.Resets, of.Resets},
		{"syn", &c.SYN, of.SYN},
		{"fin", &c.FIN, of.FIN},
		{"capture_duplicates", &c.CaptureDuplicates, of.CaptureDuplicates},
		{"capture_lost_bytes", &c.CaptureLostBytes, of.CaptureLostBytes},
	}
}

// counted is a bound with what is held against it.
type counted struct {
	key   string
	bound *Range
	got   uint64
}

// Config returns how the capture's flows are to be tracked. Counters that are
// Wireshark's are counted. What Options says of reading frames is the caller's.
func (f *File) Config() analyzer.Config {
	p := &analyzer.Profiles[0]
	if named, ok := analyzer.ProfileNamed(string(f.Options.OS)); ok {
		p = named
	}
	return analyzer.Config{Profile: p, Stuck: f.Options.StuckAfter.limits(p), Peers: true}
}
