// Package kernelcheck lays the states that were inferred from packets beside
// those that the kernel reports of the same sockets, and says where they
// differ: the product's check of itself, in the field.
//
// A difference counts only when both have been as they are for longer than
// what may lie between them: the time that the dump took, by which the capture
// runs behind, and one round trip. What the kernel said before is known from
// the check before, so that the first one finds nothing but agreement.
//
// These are no disagreements, and are counted as excused:
//
//   - CLOSED, or LISTEN that nothing has been sent from, beside no socket: that
//     is how they look (and is agreement);
//   - TIME_WAIT beside no socket: the kernel recycles them (tcp_tw_reuse,
//     tcp_max_tw_buckets), and kills one at a RST where tcp_rfc1337 is 0; and
//     CLOSED beside TIME_WAIT, when our timer ran out first;
//   - SYN_RECEIVED beside no socket: SYN cookies keep none, and a request sock
//     goes when nobody answers;
//   - SYN_SENT beside no socket: close(2) in that state sends nothing;
//   - FIN_WAIT_2 beside no socket, after tcp_fin_timeout: an orphan's end sends
//     nothing;
//   - a request sock in SYN_RECV beside a later state of a server that nothing
//     it sent has proved: the accept queue is full or TCP_DEFER_ACCEPT waits, and
//     the kernel ignored the ACK; beside LISTEN: its SYN+ACK did not pass the tap;
//   - a pair of addresses that several network namespaces have.
package kernelcheck
