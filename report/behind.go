package report

import "io"

// behind writes buffers out beside what fills them: two take turns, so that
// nothing is copied, and whoever fills one waits only while the other is still
// being written.
type behind struct {
	full  chan []byte
	empty chan written
}

// written is a buffer that may be filled again.
type written struct {
	b   []byte
	err error // of the writing
}

func newBehind(w io.Writer) *behind {
	h := &behind{make(chan []byte), make(chan written, 2)}
	h.empty <- written{}
	go h.run(w)
	return h
}

// run writes until it is told to stop. After an error it writes no more.
func (h *behind) run(w io.Writer) {
	var err error
	for b := range h.full {
		if err == nil {
			_, err = w.Write(b)
		}
		h.empty <- written{b[:0], err}
	}
	close(h.empty)
}

// put hands a buffer over and returns another. An error is that of an earlier
// one.
func (h *behind) put(b []byte) ([]byte, error) {
	h.full <- b
	e := <-h.empty
	return e.b, e.err
}

// close waits until all is written.
func (h *behind) close() (err error) {
	close(h.full)
	for e := range h.empty {
		err = e.err
	}
	return err
}
