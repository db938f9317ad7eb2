package analyzer

// Detectors is the one list of all findings: a new one is a file and a line
// here.
var Detectors = []*Detector{}
