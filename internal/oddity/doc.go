// Package oddity makes the captures of testdata/oddities: what TCP does when
// things go wrong, in every encapsulation that is read, a capture for each
// case. They are what our numbers are compared with other programs' on.
//
// Most are segment scripts (scripts/*.txt, in the language of
// analyzer/testdata/README.txt) with the headers that go around the segments;
// the mixes draw what happens by lot. The same code writes the same octets.
package oddity
