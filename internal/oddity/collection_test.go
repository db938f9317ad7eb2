package oddity

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

const dir = "../../testdata/oddities"

// The captures and their index are those that the code makes: nobody may edit
// one without the other.
func TestCollection(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	there, err := filepath.Glob(filepath.Join(dir, "*.pcap"))
	if err != nil || len(there) != len(all) {
		t.Errorf("%d captures in %s, %d are made (%v)", len(there), dir, len(all), err)
	}
	names := map[string]bool{}
	size := 0
	for _, c := range all {
		if names[c.Name] || c.Why == "" || len(c.Data) < 24+16+40 {
			t.Errorf("%s: twice the name, no reason, or next to nothing in it", c.Name)
		}
		names[c.Name] = true
		size += len(c.Data)
		same(t, c.Name, c.Data)
	}
	same(t, "README.md", []byte(Index(all)))
	if size > 1500<<10 {
		t.Errorf("%d bytes are too many for the repository", size)
	}
}

func same(t *testing.T, name string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is stale: go run ./internal/tools/oddities (%v)", name, err)
	}
}
