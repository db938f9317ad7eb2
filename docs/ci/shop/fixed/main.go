// Command shop tells prices: the example of docs/ci.md.
//
// A client sends lines: "price NAME" asks, "watch NAME" asks and is told again
// whenever somebody says "set NAME PRICE".
package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"strings"
	"sync"
)

// shop is what its connections share.
type shop struct {
	mu       sync.Mutex
	prices   map[string]string
	watchers map[net.Conn]string // the name that each of them watches
}

func newShop() *shop {
	return &shop{prices: map[string]string{"tea": "3", "pot": "20"}, watchers: map[net.Conn]string{}}
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:7070")
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(newShop().run(l))
}

// run serves until the listener is closed.
func (s *shop) run(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go s.serve(c)
	}
}

// serve answers a client until it closes.
func (s *shop) serve(c net.Conn) {
	for lines := bufio.NewScanner(c); lines.Scan(); {
		s.answer(c, strings.Fields(lines.Text()+" . .")) // a name and a price, if need be none
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.watchers, c)
	c.Close()
}

func (s *shop) answer(c net.Conn, words []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	verb, name := words[0], words[1]
	switch verb {
	case "watch":
		s.watchers[c] = name
	case "set":
		s.prices[name] = words[2]
		for w, watched := range s.watchers {
			if watched == name {
				fmt.Fprintln(w, name, s.prices[name])
			}
		}
	}
	fmt.Fprintln(c, name, s.prices[name])
}
