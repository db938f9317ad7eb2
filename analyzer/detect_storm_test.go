package analyzer

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// Of a host with very many connections only some are kept: the same, in
// whatever order they end, and enough to tell how many a storm ended.
func TestStormOfMany(t *testing.T) {
	var all []ended
	for i := range 20000 {
		e := ended{to: int64(100e9), flow: i<<1 | 1}
		if i%5 != 0 {
			e.to, e.frame = int64(50e9)+int64(i)*1e4, uint64(i+1)
		}
		all = append(all, e)
	}
	var want Finding
	for round := range 4 {
		tally := &stormTally{by: CloseByFIN}
		for _, e := range all {
			if tally.keeps(e.number()) {
				tally.keep(e)
			}
		}
		n := Finding{Severity: Warning}
		if !tally.Find(&n) || n.FlowCount < 15000 || n.FlowCount > 17000 || len(tally.all) > maxEnded {
			t.Fatalf("%d kept; found %+v, want 16000", len(tally.all), n)
		}
		if round == 0 {
			want = n
		} else if !reflect.DeepEqual(n, want) {
			t.Fatalf("the order matters: %+v, then %+v", want, n)
		}
		rand.New(rand.NewPCG(1, uint64(round))).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
}
