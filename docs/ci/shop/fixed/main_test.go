package main

import (
	"bufio"
	"fmt"
	"net"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/tcpflowtest"
)

// Whoever watches a price and goes away leaves nothing behind.
func TestCloses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go newShop().run(l)

	capture := tcpflowtest.Capture(t, tcpflowtest.Options{Port: uint16(l.Addr().(*net.TCPAddr).Port)})
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(c, "watch tea")
	if answer, err := bufio.NewReader(c).ReadString('\n'); answer != "tea 3\n" {
		t.Fatal(answer, err)
	}
	c.Close()

	capture.Stop().Count(1).Established().EventuallyClosed().Without("stuck-close-wait")
}
