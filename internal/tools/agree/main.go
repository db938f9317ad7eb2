// Agree compares what we say of captures with what tshark says of them: by
// column, how many streams agree, and each that does not. It exits 1 when a
// column agrees in less than 99 of 100 streams.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/tcpflow-states/tcpflow-states/internal/agree"
)

const (
	enough = 0.99
	golden = "internal/agree/testdata/tshark.txt"
)

func main() {
	update := flag.Bool("update", false, "write tshark's answers to "+golden)
	limit := flag.Int("limit", 200, "list `N` differences at most; 0: all")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: agree [-update] [-limit N] [DIR|FILE…]    (default: testdata capture/testdata)")
		flag.PrintDefaults()
	}
	flag.Parse()
	score, err := run(flag.Args(), *update)
	if err != nil {
		fmt.Fprintln(os.Stderr, "agree:", err)
		os.Exit(2)
	}
	list(score, *limit)
	if score.Share() < enough {
		os.Exit(1)
	}
}

// result is what there is to compare of a file.
type result struct {
	theirs []agree.Stream
	ours   []agree.Flow
	skip   string
}

func run(dirs []string, update bool) (*agree.Score, error) {
	if len(dirs) == 0 {
		dirs = []string{"testdata", "capture/testdata"}
	}
	version, err := agree.Version()
	if err != nil {
		return nil, err
	}
	files, err := agree.Find(dirs)
	if err != nil {
		return nil, err
	}
	fmt.Printf("tshark %s, %d captures\n", version, len(files))
	results := make([]result, len(files))
	var group sync.WaitGroup
	turns := make(chan bool, runtime.NumCPU())
	for i := range files {
		turns <- true
		group.Go(func() {
			results[i] = ask(files[i])
			<-turns
		})
	}
	group.Wait()
	score := agree.NewScore()
	answers := agree.Answers{Version: version}
	for i, r := range results {
		if r.skip != "" {
			score.Skipped = append(score.Skipped, files[i]+": "+r.skip)
			continue
		}
		score.Add(files[i], r.theirs, r.ours)
		answers.Files = append(answers.Files, agree.Answer{File: files[i], Streams: r.theirs})
	}
	if update {
		err = os.WriteFile(golden, []byte(answers.Encode()), 0o666)
	}
	return score, err
}

// ask asks both about a file.
func ask(file string) (r result) {
	args, skip, err := agree.Args(file)
	if err == nil && skip == "" {
		r.theirs, err = agree.Tshark(file, args)
	}
	if err == nil && skip == "" {
		r.ours, err = agree.Ours(file)
	}
	r.skip = skip
	if err != nil {
		r.skip = err.Error()
	}
	return r
}

func list(s *agree.Score, limit int) {
	s.Table(os.Stdout)
	fmt.Printf("%d captures compared; streams that are only quoted in ICMP errors, not compared: %d\n", s.Files, s.Quotes)
	for i, d := range s.Differences {
		if limit > 0 && i == limit {
			fmt.Printf("… and %d more (-limit 0)\n", len(s.Differences)-limit)
			break
		}
		fmt.Println(d)
		if d.Excuse != nil {
			fmt.Println("    ", d.Excuse.Why)
		}
	}
	for _, text := range s.Skipped {
		fmt.Println("not compared:", text)
	}
}
