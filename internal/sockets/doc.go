// Package sockets asks the Linux kernel which TCP sockets there are, in which
// state, and who holds them: the process, its container and its pod.
//
// The sockets come from sock_diag(7), by netlink and without cgo; the holders
// from /proc/PID/fd, whose links name sockets by inode. Both also work for the
// network namespaces of containers, where setns(2) is permitted.
//
// # How the kernel's states appear
//
// Most are the states of RFC 9293 under other names. What is different
// (net/ipv4/inet_diag.c, net/ipv4/tcp_diag.c):
//
//   - SYN_RECV of a listener is no socket but a request sock. The kernel knows
//     it as TCP_NEW_SYN_RECV and reports it as SYN_RECV, without an inode, user
//     or attribute (inet_req_diag_fill): KindRequest. Nobody holds it but the
//     listener. A simultaneous open, or TCP Fast Open, makes a whole socket in
//     SYN_RECV.
//   - With SYN cookies (a full SYN queue) there is nothing at all until the ACK.
//   - A request sock stays in SYN_RECV after the ACK of its SYN+ACK when the
//     accept queue is full (tcp_v4_syn_recv_sock) or TCP_DEFER_ACCEPT waits for
//     data.
//   - An ESTABLISHED or CLOSE_WAIT socket without an inode has not been
//     accepted: it waits in its listener's accept queue.
//   - FIN_WAIT_1, CLOSING and LAST_ACK without an inode are orphans: the
//     application has closed them.
//   - An orphan in FIN_WAIT_2 becomes a TIME_WAIT minisock with that substate
//     (tcp_time_wait), reported as FIN_WAIT_2 with the timer of TIME_WAIT:
//     KindTimeWait. It goes after tcp_fin_timeout, with no packet. One that the
//     application still holds after shutdown(2) is a whole socket, and stays.
//   - TIME_WAIT is a minisock too: no inode, user, queues or cgroup. It goes
//     early when tcp_tw_reuse takes its ports or tcp_max_tw_buckets is reached.
//   - CLOSED sockets are in no table: nothing is reported.
//
// Subflows of Multipath TCP are listed as the TCP sockets that they are.
//
// # What it needs
//
// The sockets of the own network namespace: nothing. Holders of another user's
// sockets: CAP_DAC_READ_SEARCH (to list /proc/PID/fd) and CAP_SYS_PTRACE (to
// read its links; proc(5), ptrace(2) PTRACE_MODE_READ_FSCREDS). Other network
// namespaces: CAP_SYS_PTRACE to find them and CAP_SYS_ADMIN to enter them
// (setns(2)). A process under Landlock may not read the links of any that is not
// (landlock(7), ptrace restrictions), whatever its capabilities.
//
// What is missing is not an error: Blind says it. In a container the processes
// of the host are seen only with its proc(5) mounted (Options.Proc) or its
// process namespace shared; nothing tells that they are not seen, but that no
// process holds a socket.
//
// # What it cannot say
//
// A socket that opened and closed between two looks was never seen; who listens
// at its address then stands for its holder. An address that is translated on
// the way (a published port of a container, a Kubernetes service) is not the
// socket's: the listener that is named may be the proxy's.
package sockets
