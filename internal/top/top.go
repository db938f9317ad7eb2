// Package top is the full-screen view of `live --top`: how many sockets are in
// which state, the listeners with the most trouble, the flows that are stuck and
// who owes the next packet, and one flow as a ladder while it goes on.
//
// It knows no packets. It asks a Source for a Snapshot once in a while, from a
// goroutine of its own, so that neither waits for the other's work: a terminal
// at the end of a slow ssh connection does not hold up the capture.
//
// Bubbletea reads the keys, sends the terminal only what has changed, and leaves
// it as it was; lipgloss colours, and knows how wide a character is. All else is
// text that a pure function makes of the model.
package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/term"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
)

// Source gives the view what it shows.
type Source interface {
	// Snapshot returns what there is now. It is called from one goroutine at a
	// time, which is neither that of the capture nor the one that draws. It may
	// wait for the capture's loop to answer, until ctx is done; a flow that the user
	// opens meanwhile is asked for only then, so a wait should be a fraction of a
	// second. The Source does not change afterwards what the Snapshot points to.
	// io.EOF ends the view, as the user's q does; any other error ends it too, and
	// is returned by Run.
	Snapshot(ctx context.Context, want Want) (Snapshot, error)
}

// NoFlow is a Want without a flow. Flows are numbered from 0.
const NoFlow = -1

// Want is what a Snapshot is to hold beside the overview.
type Want struct {
	Flow  int // the number of the flow to draw, as Flow.Number; NoFlow: none
	Width int // columns that a line of its ladder can have
}

// Snapshot is what there is to see at one moment. All text may come from packets
// or processes as it is: the view cleans what it draws.
type Snapshot struct {
	Time      int64           // the capture's, ns since 1970-01-01 UTC
	Title     string          // what is captured: the interface, and the filter
	Census    analyzer.Census // sides by state: clients, servers
	Open      int             // flows that are held
	Capture   Capture
	Listeners []Listener // at most a few thousand; the view sorts them
	Stuck     []Flow     // flows of which a side is stuck, likewise: the oldest
	StuckAll  int        // how many there are; 0 where that is what Stuck has
	Detail    *Detail    // of Want.Flow; nil when none was wanted
}

// Capture is how the capture itself fares, since it began.
type Capture struct {
	Frames  uint64
	Drops   uint64  // frames that the kernel had no room for
	Evicted uint64  // flows that were given up for want of room
	Ring    float64 // share of the ring that waits to be read, 0 to 1; below 0: not known
}

// Listener is an address and port that connections are opened to.
type Listener struct {
	Address  string            // address:port, as in Flow.Server
	Owner    string            // the process that has the socket; empty: not known
	Open     int               // flows that are held and not over
	HalfOpen int               // of these, those whose handshake is not done
	Stuck    int               // of these, those with a side that is stuck
	Failed   uint64            // handshakes that came to nothing, since the capture began
	Findings uint64            // likewise
	Severity analyzer.Severity // the highest of them
	Worst    string            // the name of one with that severity
}

// Flow is one connection.
type Flow struct {
	Number         int    // analyzer.Flow.Number
	Client, Server string // address:port
	State          [2]analyzer.State
	Basis          [2]analyzer.Basis // both the client's, then the server's
	Since          int64             // when the side that is stuck went silent, ns since 1970-01-01 UTC; 0: none is
	Owes           string            // whose turn it is and with what: "server FIN"; empty: nobody's
	Owner          string            // who holds the socket; empty: not known
	Severity       analyzer.Severity // the highest of the findings'
	Findings       []string          // names
}

// Detail is a flow and its last segments.
type Detail struct {
	Flow  Flow
	Lines []string // of its ladder, the latest last; the view cuts those that are too wide
	Ended bool     // it is held no more: this is how it was
}

// Options say how the view is run. The zero value works.
type Options struct {
	Every  time.Duration // between two Snapshots; 0: a second
	Color  bool          // colours and highlighting; without it the text alone says all
	Input  io.Reader     // keys; nil: standard input
	Output io.Writer     // nil: standard output; must be a terminal, unless Width and Height are given

	// The size of the screen until the terminal says another; 0: the terminal's.
	Width, Height int
}

// Run shows the view until the user leaves it, the Source ends or ctx is done:
// nil in all three cases. It does not take signals; Ctrl-C is a key here, and
// leaves the view as q does. The screen is as it was when it returns.
func Run(ctx context.Context, source Source, o Options) error {
	if o.Output == nil {
		o.Output = os.Stdout
	}
	if o.Width == 0 && !isTerminal(o.Output) {
		return errors.New("a full-screen view needs a terminal: leave it out, or print a census at intervals instead")
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel() // a Source that is waiting is not waited for
	options := []tea.ProgramOption{tea.WithOutput(o.Output), tea.WithoutSignalHandler()}
	if o.Input != nil {
		options = append(options, tea.WithInput(o.Input))
	}
	if o.Width > 0 {
		options = append(options, tea.WithWindowSize(o.Width, o.Height))
	}
	program := tea.NewProgram(newModel(inner, source, o), options...)
	// Not tea.WithContext, which closes the terminal under the goroutine that reads it.
	defer context.AfterFunc(ctx, program.Quit)()
	last, err := program.Run()
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("full-screen view: %w", err)
	}
	return last.(model).err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
