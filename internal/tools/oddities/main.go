// Oddities writes the captures of testdata/oddities and their index.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/tcpflow-states/tcpflow-states/internal/oddity"
)

func main() {
	dir := flag.String("o", "testdata/oddities", "directory to write to")
	flag.Parse()
	n, err := oddity.WriteAll(*dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "oddities:", err)
		os.Exit(1)
	}
	fmt.Fprintf(os.Stderr, "%s: %d captures\n", *dir, n)
}
