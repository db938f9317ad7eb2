// Truthreduce copies the kernel scenarios into testdata: the captures as they
// are, each truth.json reduced to what the conformance test reads.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tcpflow-states/tcpflow-states/internal/conformance"
)

func main() {
	from := flag.String("from", "", "folder with one folder a scenario, as recorded")
	to := flag.String("to", "testdata/kernel", "folder to write")
	flag.Parse()
	if err := run(*from, *to); err != nil {
		fmt.Fprintln(os.Stderr, "truthreduce:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	dirs, err := conformance.Scenarios(from)
	if err != nil {
		return err
	}
	if len(dirs) == 0 {
		return errors.New("no scenarios there: give -from a folder of NAME/truth.json")
	}
	for _, dir := range dirs {
		if err := reduce(dir, filepath.Join(to, filepath.Base(dir))); err != nil {
			return fmt.Errorf("scenario %s: %w", filepath.Base(dir), err)
		}
	}
	return nil
}

// reduce writes one scenario: what Load keeps is what there is to keep.
func reduce(from, to string) error {
	t, err := conformance.Load(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	for _, tap := range t.TapNames() {
		if err := copyFile(t.Path(tap), filepath.Join(to, t.Taps[tap].File)); err != nil {
			return err
		}
	}
	b, err := encode(t)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(to, "truth.json"), b, 0o644); err != nil {
		return fmt.Errorf("write truth: %w", err)
	}
	return nil
}

// encode writes one connection a line, so that a change reads well in a diff.
func encode(t *conformance.Truth) ([]byte, error) {
	var b bytes.Buffer
	head := *t
	head.Connections = nil
	h, err := json.Marshal(&head)
	if err != nil {
		return nil, fmt.Errorf("encode truth: %w", err)
	}
	b.Write(bytes.TrimSuffix(h, []byte("null}")))
	for i := range t.Connections {
		c, err := json.Marshal(&t.Connections[i])
		if err != nil {
			return nil, fmt.Errorf("encode connection: %w", err)
		}
		b.WriteString([]string{"[\n", ",\n"}[min(i, 1)])
		b.Write(c)
	}
	b.WriteString("\n]}\n")
	return b.Bytes(), nil
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	if err := os.WriteFile(to, b, 0o644); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	return nil
}
