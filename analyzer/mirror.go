package analyzer

// A capture point that sees a packet inside a tunnel and outside of it, or
// before and after a router between two VLANs, records it once for each path.
// These are one flow, that of the path seen first; the rest are duplicates.

// plain is the key without its path.
func (k Key) plain() Key {
	k.Path = 0
	return k
}

// mirrored returns the flow of which x, on a path that has none, is another
// recording; nil when it is of none.
func (t *Tracker) mirrored(k Key, s Side, x *Segment) *Flow {
	if k.Path == 0 && len(t.paths) == 0 {
		return nil
	}
	if to, known := t.mirrors[k]; known {
		return t.find(&to)
	}
	for _, of := range t.elsewhere(k) {
		f := t.find(&of)
		if f == nil || of == k || !f.Sides[s].copies.has(x) {
			continue
		}
		t.mirrors[k] = of
		f.mirrors = append(f.mirrors, k)
		return f
	}
	return nil
}

// elsewhere are the other paths on which a pair may have been seen first.
func (t *Tracker) elsewhere(k Key) [2]Key {
	first := k.plain()
	first.Path = t.paths[first]
	return [2]Key{k.plain(), first}
}

// enterPath notes a new flow that is on a path.
func (t *Tracker) enterPath(k Key) {
	if _, known := t.paths[k.plain()]; k.Path != 0 && !known {
		t.paths[k.plain()] = k.Path
	}
}

// leavePath forgets what a flow that ends has entered.
func (t *Tracker) leavePath(f *Flow) {
	for _, k := range f.mirrors {
		delete(t.mirrors, k)
	}
	if k := f.Key; k.Path != 0 && t.paths[k.plain()] == k.Path {
		delete(t.paths, k.plain())
	}
}
