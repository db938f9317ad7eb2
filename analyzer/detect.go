package analyzer

// Detectors is the one list of all findings: a new one is a file and a line
// here. Defects of the capture come first, since they lower the certainty of
// what rests on the missing packets.
var Detectors = []*Detector{
	captureGap,
	oneWayCapture,
	duplicateCapture,

	connectTimeout,
	connectionRefused,
	connectICMPRejected,
	selfConnect,
	simultaneousOpen,
	synACKBadACK,
	handshakeISNChange,
	staleTupleChallenge,
	acceptQueueReset,
	tfoDataIgnored,
	tfoBlackHole,
	synACKUnanswered,
	synRetransmitRecovered,
	tupleReuse,

	stuckCloseWait,
	stuckFinWait2,
	lateClose,
	finUnacknowledged,
	closingStuck,

	windowScaleLost,
	windowShrunk,
	pmtuBlackHole,
	keepaliveTimeout,
	zeroWindowAbort,
	zeroWindowStall,
	peerVanished,
	neverClosed,

	rstInjected,
	resetUnreadData,
	resetDataLoss,
	halfOpenPeer,
	writeAfterPeerClose,
	abortiveClose,
	timeWaitAssassination,
	rstOutOfWindow,
	challengeACK,
	ackStorm,
	stealthScan,
}
