package analyzer

// Endpoint is one side of a flow as the tap can know it.
type Endpoint struct {
	State     State // the believed state: the proven one walked through the inbox
	Basis     Basis // of State; Observed when its last transition is proved
	Since     int64 // when State began, ns since 1970-01-01 UTC; 0 when not known
	LastSent  int64 // time of its last segment; 0 when it sent none
	LastFrame uint64
	LastData  int64 // time of its last new payload; 0 when it sent none
	Counters  Counters
	Offered   Negotiated
}

// tracked is what only the tracker needs of a flow.
type tracked struct{}
