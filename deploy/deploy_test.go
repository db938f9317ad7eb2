// Package deploy holds what is deployed against what the program has: every
// metric, label value and finding that is named here exists there.
package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/internal/metrics"
)

const (
	alerts    = "prometheus/alerts.yml"
	dashboard = "grafana/tcpflow-states.json"
	unit      = "systemd/tcpflow-states@.service"
	daemonset = "kubernetes/daemonset.yaml"
)

// names returns the names that series of the program have.
func names(t *testing.T) map[string]bool {
	t.Helper()
	ch := make(chan *prometheus.Desc, 1000)
	metrics.New(metrics.Config{}).Describe(ch)
	close(ch)
	known := make(map[string]bool)
	for d := range ch {
		_, name, _ := strings.Cut(d.String(), `fqName: "`)
		name, _, _ = strings.Cut(name, `"`)
		known[name] = true
		if strings.HasSuffix(name, "_seconds") {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				known[name+suffix] = true
			}
		}
	}
	if len(known) < 20 {
		t.Fatalf("only %d metrics are described", len(known))
	}
	return known
}

// vocabulary has the values that each label can have.
func vocabulary() map[string][]string {
	v := map[string][]string{
		"side":     {"client", "server"},
		"severity": {"info", "warning", "error"},
	}
	for s := range analyzer.State(analyzer.NumStates) {
		v["state"] = append(v["state"], s.String())
	}
	for r := analyzer.HandshakeMidstream; r <= analyzer.HandshakeRejectedICMP; r++ {
		v["result"] = append(v["result"], r.String())
	}
	for _, d := range analyzer.Detectors {
		v["finding"] = append(v["finding"], d.Name)
	}
	return v
}

// texts returns every text file below here, by path.
func texts(t *testing.T) map[string]string {
	t.Helper()
	by := make(map[string]string)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".go") {
			return err
		}
		b, err := os.ReadFile(path)
		by[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return by
}

var (
	metricName = regexp.MustCompile(`\btcpflow_states_[a-z0-9_]+`)
	matcher    = regexp.MustCompile(`\b(side|severity|state|result|finding)\s*(?:=~|!~|!=|=)\s*\\?"([^"\\]+)`)
	backquoted = regexp.MustCompile("`([^`]+)`")
)

// Whatever is named in a query or a runbook is there.
func TestNamesExist(t *testing.T) {
	known, words := names(t), vocabulary()
	used := make(map[string]bool)
	for path, text := range texts(t) {
		for _, name := range metricName.FindAllString(text, -1) {
			used[name] = true
			if !known[name] {
				t.Errorf("%s: there is no metric %s", path, name)
			}
		}
		for _, m := range matcher.FindAllStringSubmatch(text, -1) {
			for value := range strings.SplitSeq(m[2], "|") {
				if m[1] == "severity" && strings.Contains(path, "prometheus/") {
					continue // that of an alert
				}
				if !slices.Contains(words[m[1]], value) {
					t.Errorf("%s: no series has %s=%q", path, m[1], value)
				}
			}
		}
		if path != alerts {
			continue
		}
		for _, m := range backquoted.FindAllStringSubmatch(text, -1) { // as alerts.yml says
			if !slices.Contains(words["finding"], m[1]) && !slices.Contains(words["state"], m[1]) {
				t.Errorf("%s: %s is neither a finding nor a state", path, m[1])
			}
		}
	}
	for name := range known {
		if strings.HasSuffix(name, "_total") && !used[name] {
			t.Logf("nothing uses %s", name)
		}
	}
	if len(used) < 15 {
		t.Errorf("only %v are used", slices.Sorted(maps.Keys(used)))
	}
}

// rules is what is looked at of a file of alert rules.
type rules struct {
	Groups []struct {
		Rules []struct {
			Alert       string
			Expr        string
			Annotations struct{ Summary, Runbook string }
		}
	}
}

// Each alert tells what it is about and what to do.
func TestRunbooks(t *testing.T) {
	var r rules
	for _, doc := range documents(t, alerts) {
		if err := doc.Decode(&r); err != nil {
			t.Fatal(err)
		}
	}
	tests, err := os.ReadFile("prometheus/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	about := map[string]string{
		"TCPCloseWaitLeak": "stuck-close-wait", "TCPFinWait2Stuck": "stuck-fin-wait-2",
		"TCPConnectionsRefused": "connection-refused", "TCPAcceptQueueOverflow": "accept-queue-overflow-suspected",
		"TCPSynFlood": "syn-flood", "TCPHandshakeSlow": "syn-retransmit-recovered", "TCPCaptureDrops": "capture-drops",
		"TCPStatesNotReady": "/readyz",
	}
	for _, x := range r.Groups[0].Rules {
		if x.Annotations.Summary == "" || len(x.Annotations.Runbook) < 50 {
			t.Errorf("%s: summary %q, runbook %q", x.Alert, x.Annotations.Summary, x.Annotations.Runbook)
		}
		if want := about[x.Alert]; !strings.Contains(x.Annotations.Runbook, want) {
			t.Errorf("%s: the runbook does not name %s", x.Alert, want)
		}
		if !bytes.Contains(tests, []byte(x.Alert)) {
			t.Errorf("%s: no test in alerts_test.yml", x.Alert)
		}
		delete(about, x.Alert)
	}
	if len(about) > 0 {
		t.Errorf("there is no alert for %v", about)
	}
}

// documents parses each document of a YAML file.
func documents(t *testing.T, path string) (list []*yaml.Node) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for d := yaml.NewDecoder(bytes.NewReader(b)); ; {
		n := new(yaml.Node)
		if err := d.Decode(n); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		list = append(list, n)
	}
}

// run runs a program of another package, or skips.
func run(t *testing.T, pkg, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("SKIPPED: no %s here: apt-get install %s", name, pkg)
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %v: %v\n%s", name, args, err, out)
	}
}

// Prometheus takes the rules, and they fire when they should.
func TestPromtool(t *testing.T) {
	run(t, "prometheus", "promtool", "check", "rules", alerts)
	run(t, "prometheus", "promtool", "test", "rules", "prometheus/alerts_test.yml")
}

// panel is what is looked at of a dashboard's panel.
type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource source
	GridPos    struct{ H, W, X, Y int }
	Targets    []struct {
		Expr       string
		Datasource source
	}
}

type source struct{ Type, UID string }

// The dashboard shows what it should, from whatever data source the viewer
// chooses, with queries that Prometheus can parse.
func TestDashboard(t *testing.T) {
	b, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels     []panel
		Templating struct{ List []struct{ Type, Name string } }
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	if first := d.Templating.List[0]; first.Type != "datasource" || first.Name != "datasource" {
		t.Errorf("the first variable is %+v, want the data source", first)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	var exprs []string
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q: its id is another's too", p.Title)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other := taken[at]; other != "" || at[0] >= 24 {
					t.Fatalf("panel %q lies over %q or outside", p.Title, other)
				}
				taken[at] = p.Title
			}
		}
		for _, q := range p.Targets {
			if q.Datasource.UID != "${datasource}" || p.Datasource.UID != "${datasource}" {
				t.Errorf("panel %q has a data source of its own: %+v", p.Title, q.Datasource)
			}
			exprs = append(exprs, q.Expr)
		}
	}
	for _, want := range []string{"Sockets by state, client side", "Sockets by state, server side", "Stuck sockets by state",
		"Listeners by trouble: stuck sockets", "Handshake latency", "Findings", "Packets"} {
		if !slices.ContainsFunc(d.Panels, func(p panel) bool { return p.Title == want }) {
			t.Errorf("there is no panel %q", want)
		}
	}
	checkQueries(t, exprs)
}

// checkQueries lets promtool parse queries, as rules.
func checkQueries(t *testing.T, exprs []string) {
	t.Helper()
	type rule struct {
		Record string
		Expr   string
	}
	var list []rule
	for i, e := range exprs {
		e = strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h").Replace(e)
		list = append(list, rule{"query:" + strconv.Itoa(i), e})
	}
	b, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "queries", "rules": list}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "prometheus", "promtool", "check", "rules", path)
}

// systemd understands the unit, and finds it as closed as the unit says.
func TestUnit(t *testing.T) {
	b, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nAmbientCapabilities=CAP_NET_RAW\n", "\nCapabilityBoundingSet=CAP_NET_RAW\n", "\nNoNewPrivileges=yes\n"} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("the unit is without %q", want)
		}
	}
	// The program is not installed here: another stands for it.
	path := filepath.Join(t.TempDir(), filepath.Base(unit))
	b = bytes.ReplaceAll(b, []byte("/usr/local/bin/tcpflow-states"), []byte("/bin/true"))
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "systemd", "systemd-analyze", "verify", path)
	run(t, "systemd", "systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", path) // tenths of its score
}

// The DaemonSet gives one capability, to a user who is not root, and each probe
// asks what the program answers.
func TestDaemonSet(t *testing.T) {
	type probe struct {
		HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
	}
	var set struct {
		Kind string
		Spec struct {
			Template struct {
				Metadata struct{ Annotations map[string]string }
				Spec     struct {
					HostNetwork     bool `yaml:"hostNetwork"`
					SecurityContext struct {
						RunAsNonRoot bool `yaml:"runAsNonRoot"`
					} `yaml:"securityContext"`
					Containers []struct {
						Args            []string
						Ports           []struct{ Name string }
						SecurityContext struct {
							AllowPrivilegeEscalation *bool                        `yaml:"allowPrivilegeEscalation"`
							Capabilities             struct{ Drop, Add []string } `yaml:"capabilities"`
						} `yaml:"securityContext"`
						StartupProbe   probe `yaml:"startupProbe"`
						ReadinessProbe probe `yaml:"readinessProbe"`
						LivenessProbe  probe `yaml:"livenessProbe"`
						Resources      struct{ Requests, Limits map[string]string }
					}
				}
			}
		}
	}
	for _, doc := range documents(t, daemonset) {
		if err := doc.Decode(&set); err != nil {
			t.Fatal(err)
		}
	}
	spec := set.Spec.Template.Spec
	c := spec.Containers[0]
	s := c.SecurityContext
	if set.Kind != "DaemonSet" || !spec.HostNetwork || !spec.SecurityContext.RunAsNonRoot {
		t.Errorf("kind %s, host network %v, not root %v", set.Kind, spec.HostNetwork, spec.SecurityContext.RunAsNonRoot)
	}
	if !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) || !slices.Equal(s.Capabilities.Add, []string{"NET_RAW"}) {
		t.Errorf("capabilities: drop %v, add %v", s.Capabilities.Drop, s.Capabilities.Add)
	}
	if s.AllowPrivilegeEscalation != nil {
		t.Error("allowPrivilegeEscalation is set: false hides the file's capability (capabilities(7))")
	}
	for _, p := range []struct {
		probe probe
		path  string
	}{{c.StartupProbe, "/readyz"}, {c.ReadinessProbe, "/readyz"}, {c.LivenessProbe, "/healthz"}} {
		if p.probe.HTTPGet.Path != p.path || p.probe.HTTPGet.Port != c.Ports[0].Name {
			t.Errorf("a probe asks %+v, want %s", p.probe.HTTPGet, p.path)
		}
	}
	if set.Spec.Template.Metadata.Annotations["prometheus.io/port"] != "9465" || !slices.Contains(c.Args, "$(NODE_ADDRESS):9465") {
		t.Errorf("annotations %v, arguments %v: the port is not the same", set.Spec.Template.Metadata.Annotations, c.Args)
	}
	if c.Resources.Limits["memory"] == "" || c.Resources.Requests["cpu"] == "" {
		t.Errorf("resources: %+v", c.Resources)
	}
	for _, path := range []string{"kubernetes/podmonitor.yaml", "prometheus/alerts_test.yml"} {
		documents(t, path)
	}
}
