package report

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/netip"
	"strconv"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// ndjsonRenderer writes one object a line.
type ndjsonRenderer struct {
	w      io.Writer
	o      Options
	buf    []byte  // objects that are not written out yet
	behind *behind // writes them; nil until there are many
	err    error
}

// ndjsonBuffer is how much is written out at once.
const ndjsonBuffer = 256 << 10

func newNDJSON(w io.Writer, m *Meta, o Options) Renderer {
	r := &ndjsonRenderer{w: w, o: o}
	r.err = r.object(m)
	return r
}

// object writes one of the objects of which there are few.
func (r *ndjsonRenderer) object(v any) error {
	b, err := encodeJSON(v)
	if err != nil {
		return err
	}
	r.buf = append(append(r.buf, b...), '\n')
	return r.flush()
}

// flush writes out what there is, if somebody waits for it or it is enough.
func (r *ndjsonRenderer) flush() (err error) {
	switch {
	case r.o.Flush:
		return r.write()
	case len(r.buf) < ndjsonBuffer:
		return nil
	case r.behind == nil:
		r.behind = newBehind(r.w)
	}
	r.buf, err = r.behind.put(r.buf)
	return err
}

// write writes out what there is, here and now.
func (r *ndjsonRenderer) write() error {
	_, err := r.w.Write(r.buf)
	r.buf = r.buf[:0]
	return err
}

func (r *ndjsonRenderer) Flow(f *analyzer.Flow) error {
	if r.err != nil {
		return r.err
	}
	r.buf = r.Append(r.buf, f)
	r.err = r.flush()
	return r.err
}

// Append implements Encoder.
func (r *ndjsonRenderer) Append(b []byte, f *analyzer.Flow) []byte {
	return append(appendFlow(b, f, r.o.origin(f)), '\n')
}

// Put implements Encoder.
func (r *ndjsonRenderer) Put(_ int, b []byte) error {
	if r.err != nil {
		return r.err
	}
	r.buf = append(r.buf, b...)
	r.err = r.flush()
	return r.err
}

func (r *ndjsonRenderer) Close(s *Summary) error {
	if r.err == nil {
		r.err = r.object(s)
	}
	if r.behind != nil {
		r.err = cmp.Or(r.err, r.behind.close())
	}
	if r.err == nil {
		r.err = r.write()
	}
	return r.err
}

// jsonRenderer writes one object with all flows by number. A flow is written
// as soon as no lower number can come; until then it waits in the spool.
type jsonRenderer struct {
	w     *bufio.Writer
	o     Options
	buf   []byte
	spool spool
	next  int // the lowest number that has not come yet
	comma bool
	err   error
}

func newJSON(w io.Writer, m *Meta, o Options) Renderer {
	r := &jsonRenderer{w: bufio.NewWriterSize(w, 64<<10), o: o}
	r.w.WriteString(`{"meta":`)
	r.err = writeJSON(r.w, m, ',')
	r.w.WriteString("\n\"flows\":[\n")
	return r
}

func (r *jsonRenderer) Flow(f *analyzer.Flow) error {
	r.buf = r.Append(r.buf[:0], f)
	return r.Put(f.Number, r.buf)
}

// Append implements Encoder.
func (r *jsonRenderer) Append(b []byte, f *analyzer.Flow) []byte {
	return appendFlow(b, f, r.o.origin(f))
}

// Put implements Encoder.
func (r *jsonRenderer) Put(number int, b []byte) error {
	if r.err != nil {
		return r.err
	}
	if number != r.next {
		return r.spool.put(number, b)
	}
	r.next++
	if err := r.write(b); err != nil {
		return err
	}
	return r.drain()
}

// Skip implements Skipper.
func (r *jsonRenderer) Skip(number int) error {
	if number != r.next {
		return r.spool.put(number, nil)
	}
	r.next++
	return r.drain()
}

// drain writes the flows that waited for the one just written.
func (r *jsonRenderer) drain() error {
	for {
		b, ok, err := r.spool.take(r.next)
		if !ok || err != nil {
			return err
		}
		r.next++
		if err := r.write(b); err != nil {
			return err
		}
	}
}

func (r *jsonRenderer) write(b []byte) error {
	if len(b) == 0 {
		return nil // a number that was skipped
	}
	if r.comma {
		r.w.WriteString(",\n")
	}
	r.comma = true
	_, err := r.w.Write(b)
	return err
}

func (r *jsonRenderer) Close(s *Summary) error {
	defer r.spool.close()
	if r.err != nil {
		return r.err
	}
	for _, number := range r.spool.numbers() {
		b, _, err := r.spool.take(number)
		if err == nil {
			err = r.write(b)
		}
		if err != nil {
			return err
		}
	}
	r.w.WriteString("],\n\"summary\":")
	if err := writeJSON(r.w, s, '}'); err != nil {
		return err
	}
	r.w.WriteByte('\n')
	return r.w.Flush()
}

// writeJSON writes what there is one of: speed does not matter.
func writeJSON(w *bufio.Writer, v any, after byte) error {
	b, err := encodeJSON(v)
	if err != nil {
		return err
	}
	w.Write(b)
	return w.WriteByte(after)
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // as appendString: nobody puts this into a page as it is
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}

// appendFlow writes the flow object of record.go, field by field in its
// order: a hundred thousand flows a second are what keeps it from reflection.
// A test holds it against encoding/json.
func appendFlow(b []byte, f *analyzer.Flow, o Origin) []byte {
	client, server := f.Client, f.Server()
	b = append(b, `{"type":"flow","schema":"`+Schema+`","flow":`...)
	b = strconv.AppendInt(b, int64(f.Number), 10)
	if o.File != "" {
		b = appendString(append(b, `,"file":`...), o.File)
	}
	b = appendPeer(append(b, `,"client":`...), f.Addr(client))
	b = appendPeer(append(b, `,"server":`...), f.Addr(server))
	if f.Guessed {
		b = append(b, `,"roles":"guessed"`...)
	} else {
		b = append(b, `,"roles":"observed"`...)
	}
	b = appendLink(b, &o.Link)
	b = appendTime(append(b, `,"start":`...), f.Start)
	b = appendTime(append(b, `,"end":`...), f.End)
	b = appendFrame(b, `,"first_frame":`, `,"first_capture":`, f.FirstFrame)
	b = appendFrame(b, `,"last_frame":`, `,"last_capture":`, f.LastFrame)
	b = appendCount(b, `,"frames":`, f.Frames)
	b = appendStates(b, f)
	b = append(b, `,"basis":{"client":"`...)
	b = append(b, f.Sides[client].Basis.String()...)
	b = append(b, `","server":"`...)
	b = append(b, f.Sides[server].Basis.String()...)
	b = append(b, `"}`...)
	b = appendInState(b, f)
	if f.ReplacedBy >= 0 {
		b = appendCount(b, `,"replaced_by":`, uint64(f.ReplacedBy))
	}
	b = appendTransitions(b, f)
	b = appendHandshake(b, f)
	b = appendClose(b, f)
	b = appendCounters(append(b, `,"counters":{"client":`...), &f.Sides[client].Counters)
	b = appendCounters(append(b, `,"server":`...), &f.Sides[server].Counters)
	b = appendFindings(append(b, '}'), f)
	return append(appendPeers(b, f), '}')
}

// appendPeers writes what other tools say of the flow, where they were asked.
func appendPeers(b []byte, f *analyzer.Flow) []byte {
	if f.Zeek.ConnState == "" {
		return b
	}
	b = append(append(b, `,"zeek":{"conn_state":"`...), f.Zeek.ConnState...)
	b = append(append(b, `","history":"`...), f.Zeek.History...)
	b = append(b, `"}`...)
	if f.Wireshark.Stream < 0 {
		return b
	}
	b = appendCount(b, `,"wireshark":{"stream":`, uint64(f.Wireshark.Stream))
	b = appendCount(b, `,"completeness":`, uint64(f.Wireshark.Completeness))
	return append(b, '}')
}

func appendCount(b []byte, name string, n uint64) []byte {
	return strconv.AppendUint(append(b, name...), n, 10)
}

// appendFrame writes the number of a frame in its capture, and which capture
// that is where there are several.
func appendFrame(b []byte, name, capture string, n uint64) []byte {
	of, frame := analyzer.SplitFrame(n)
	if b = appendCount(b, name, frame); of > 0 {
		b = appendCount(b, capture, uint64(of))
	}
	return b
}

// appendFrames does the same for a list of frames: a list for each.
func appendFrames(b []byte, list []uint64) []byte {
	if len(list) == 0 {
		return b
	}
	sep := `,"frames":[`
	for _, n := range list {
		_, frame := analyzer.SplitFrame(n)
		b = appendCount(b, sep, frame)
		sep = ","
	}
	b = append(b, ']')
	if of, _ := analyzer.SplitFrame(list[0]); of == 0 {
		return b
	}
	sep = `,"captures":[`
	for _, n := range list {
		of, _ := analyzer.SplitFrame(n)
		b = appendCount(b, sep, uint64(of))
		sep = ","
	}
	return append(b, ']')
}

// appendKnown writes a duration unless it is negative: not known.
func appendKnown(b []byte, name string, ns int64) []byte {
	if ns < 0 {
		return b
	}
	return appendSeconds(append(b, name...), ns)
}

func appendPeer(b []byte, a netip.AddrPort) []byte {
	b = a.Addr().AppendTo(append(b, `{"addr":"`...))
	b = strconv.AppendUint(append(b, `","port":`...), uint64(a.Port()), 10)
	return append(b, '}')
}

func appendLink(b []byte, l *analyzer.Link) []byte {
	if l.Interface == "" && len(l.VLAN) == 0 && len(l.Tunnel) == 0 {
		return b
	}
	b = append(b, `,"link":{`...)
	start := len(b)
	comma := func() {
		if len(b) > start {
			b = append(b, ',')
		}
	}
	if l.Interface != "" {
		b = appendString(append(b, `"interface":`...), l.Interface)
	}
	for i, id := range l.VLAN {
		if i == 0 {
			comma()
			b = append(b, `"vlan":[`...)
		} else {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(id), 10)
		if i == len(l.VLAN)-1 {
			b = append(b, ']')
		}
	}
	for i, t := range l.Tunnel {
		if i == 0 {
			comma()
			b = append(b, `"tunnel":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendString(b, t)
		if i == len(l.Tunnel)-1 {
			b = append(b, ']')
		}
	}
	return append(b, '}')
}

func appendInState(b []byte, f *analyzer.Flow) []byte {
	client, server := f.InState(f.Client), f.InState(f.Server())
	if client < 0 && server < 0 {
		return b
	}
	b = append(b, `,"in_state":{`...)
	b = appendKnown(b, `"client":`, client)
	if client >= 0 && server >= 0 {
		b = append(b, ',')
	}
	b = appendKnown(b, `"server":`, server)
	return append(b, '}')
}

// sideName names a side by its role; empty for NoSide.
func sideName(f *analyzer.Flow, s analyzer.Side) string {
	switch s {
	case f.Client:
		return "client"
	case f.Server():
		return "server"
	}
	return ""
}

func appendStates(b []byte, f *analyzer.Flow) []byte {
	b = append(b, `,"state":{"client":"`...)
	b = append(b, f.Sides[f.Client].State.String()...)
	b = append(b, `","server":"`...)
	b = append(b, f.Sides[f.Server()].State.String()...)
	return append(b, `"}`...)
}

func appendTransitions(b []byte, f *analyzer.Flow) []byte {
	b = append(b, `,"transitions":[`...)
	for i := range f.Transitions {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTransition(b, f, &f.Transitions[i])
	}
	return append(b, ']')
}

func appendTransition(b []byte, f *analyzer.Flow, t *analyzer.Transition) []byte {
	b = append(append(b, `{"side":"`...), sideName(f, t.Side)...)
	b = appendTime(append(b, `","t":`...), t.Time)
	if t.Frame != 0 {
		b = appendFrame(b, `,"frame":`, `,"capture":`, t.Frame)
	}
	b = append(append(b, `,"from":"`...), t.From.String()...)
	b = append(append(b, `","to":"`...), t.To.String()...)
	b = append(append(b, `","trigger":"`...), t.Trigger.String()...)
	b = append(append(b, `","basis":"`...), t.Basis.String()...)
	b = append(b, '"')
	if t.ConfirmedFrame != 0 {
		b = appendTime(append(b, `,"confirmed_at":`...), t.ConfirmedAt)
		b = appendFrame(b, `,"confirmed_frame":`, `,"confirmed_capture":`, t.ConfirmedFrame)
	}
	if t.Withdrawn != nil {
		b = appendString(append(b, `,"withdrawn":`...), t.Withdrawn.Why)
		if t.Withdrawn.Frame != 0 {
			b = appendFrame(b, `,"withdrawn_frame":`, `,"withdrawn_capture":`, t.Withdrawn.Frame)
		}
	}
	return append(b, '}')
}

func appendHandshake(b []byte, f *analyzer.Flow) []byte {
	h := &f.Handshake
	b = append(append(b, `,"handshake":{"result":"`...), h.Result.String()...)
	b = append(b, '"')
	b = appendKnown(b, `,"rtt":`, h.RTT)
	b = appendKnown(b, `,"rtt_server":`, h.RTTServer)
	b = appendKnown(b, `,"rtt_client":`, h.RTTClient)
	if h.Tap != analyzer.TapUnknown {
		b = append(append(b, `,"tap":"`...), h.Tap.String()...)
		b = append(b, '"')
	}
	b = appendCount(b, `,"syn_retransmits":`, uint64(h.SYNRetransmits))
	b = appendCount(b, `,"synack_retransmits":`, uint64(h.SYNACKRetransmits))
	b = appendOffer(b, `,"client_options":`, &f.Sides[f.Client].Offered)
	b = appendOffer(b, `,"server_options":`, &f.Sides[f.Server()].Offered)
	return append(b, '}')
}

func appendOffer(b []byte, name string, n *analyzer.Negotiated) []byte {
	if !n.Known {
		return b
	}
	b = append(append(b, name...), '{')
	if n.Set&analyzer.OptMSS != 0 {
		b = append(appendCount(b, `"mss":`, uint64(n.MSS)), ',')
	}
	if n.Set&analyzer.OptWindowScale != 0 {
		b = append(appendCount(b, `"wscale":`, uint64(n.WindowScale)), ',')
	}
	b = strconv.AppendBool(append(b, `"sack":`...), n.Set&analyzer.OptSACKPermitted != 0)
	b = strconv.AppendBool(append(b, `,"timestamps":`...), n.Set&analyzer.OptTimestamps != 0)
	b = strconv.AppendBool(append(b, `,"fastopen":`...), n.Set&analyzer.OptFastOpen != 0)
	return append(b, '}')
}

func appendClose(b []byte, f *analyzer.Flow) []byte {
	c := &f.Close
	b = append(append(b, `,"close":{"result":"`...), c.Result.String()...)
	b = append(b, '"')
	if who := sideName(f, c.ActiveCloser); who != "" {
		b = append(append(b, `,"active_closer":"`...), who...)
		b = append(b, '"')
	}
	if c.By != analyzer.CloseByNothing {
		b = append(append(b, `,"by":"`...), c.By.String()...)
		b = append(b, '"')
		b = appendKnown(b, `,"duration":`, c.Duration)
	}
	return append(b, '}')
}

func appendCounters(b []byte, c *analyzer.Counters) []byte {
	b = appendCount(b, `{"segments":`, c.Segments)
	b = appendCount(b, `,"bytes":`, c.Bytes)
	b = appendCount(b, `,"retransmitted":`, uint64(c.Retransmitted))
	b = appendCount(b, `,"out_of_order":`, uint64(c.OutOfOrder))
	b = appendCount(b, `,"duplicate_ack":`, uint64(c.DuplicateACK))
	b = appendCount(b, `,"keep_alive":`, uint64(c.KeepAlive))
	b = appendCount(b, `,"zero_window":`, uint64(c.ZeroWindow))
	b = appendCount(b, `,"resets":`, c.Resets)
	b = appendCount(b, `,"syn":`, c.SYN)
	b = appendCount(b, `,"fin":`, c.FIN)
	b = appendCount(b, `,"capture_duplicates":`, c.CaptureDuplicates)
	b = appendCount(b, `,"capture_lost_bytes":`, c.CaptureLostBytes)
	return append(b, '}')
}

func appendFindings(b []byte, f *analyzer.Flow) []byte {
	b = append(b, `,"findings":[`...)
	for i := range f.Findings {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendFinding(b, f, &f.Findings[i])
	}
	return append(b, ']')
}

func appendFinding(b []byte, f *analyzer.Flow, n *analyzer.Finding) []byte {
	b = appendString(append(b, `{"name":`...), n.Detector.Name)
	b = append(append(b, `,"severity":"`...), n.Severity.String()...)
	b = append(b, '"')
	if who := sideName(f, n.Side); who != "" {
		b = append(append(b, `,"side":"`...), who...)
		b = append(b, '"')
	}
	b = appendTime(append(b, `,"at":`...), n.At)
	if n.Last > n.At {
		b = appendTime(append(b, `,"last":`...), n.Last)
	}
	if n.Frame != 0 {
		b = appendFrame(b, `,"frame":`, `,"capture":`, n.Frame)
	}
	b = appendFrames(b, n.Frames)
	if n.For > 0 {
		b = appendSeconds(append(b, `,"for":`...), n.For)
	}
	b = appendCount(b, `,"count":`, uint64(max(n.Count, 1)))
	if n.Pending {
		b = append(b, `,"pending":true`...)
	}
	b = appendString(append(b, `,"evidence":`...), n.Evidence)
	for _, t := range [...]struct{ name, text string }{
		{`,"doubt":`, n.Doubt}, {`,"cause":`, n.Detector.Cause},
		{`,"next":`, n.Next}, {`,"reference":`, n.Detector.Reference},
	} {
		if t.text != "" {
			b = appendString(append(b, t.name...), t.text)
		}
	}
	return append(b, '}')
}
