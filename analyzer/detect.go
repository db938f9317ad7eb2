package analyzer

// Detectors is the one list of all findings: a new one is a file and a line
// here. Defects of the capture come first, since they lower the certainty of
// what rests on the missing packets.
var Detectors = []*Detector{
	captureGap,
	oneWayCapture,
	duplicateCapture,
	offloadArtifact,

	connectTimeout,
	connectionRefused,
	connectICMPRejected,
	selfConnect,
	simultaneousOpen,
	synACKBadACK,
	handshakeISNChange,
	staleTupleChallenge,
	acceptQueueReset,
	acceptQueueOverflow,
	synFlood,
	synCookies,
	portScan,
	hostSweep,
	tfoDataIgnored,
	synACKUnanswered,
	synRetransmitRecovered,
	tupleReuse,
	timeWaitPressure,
	connectionChurn,

	stuckCloseWait,
	stuckFinWait2,
	lateClose,
	finUnacknowledged,
	closingStuck,

	retransmissionHeavy,
	spuriousRetransmission,
	reordering,
	oldDuplicate,
	overlapConflict,

	keepaliveTimeout,
	zeroWindowAbort,
	zeroWindowStall,
	peerVanished,
	idleTimeoutCut,
	neverClosed,

	resetUnreadData,
	resetDataLoss,
	halfOpenPeer,
	writeAfterPeerClose,
	abortiveClose,
	rstStorm,
	finStorm,
	timeWaitAssassination,
	rstOutOfWindow,
	challengeACK,
}
