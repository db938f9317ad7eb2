// Package netns gives a test a network namespace of its own. It is for tests
// alone.
package netns
