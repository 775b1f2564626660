package register

import (
	"context"
	"time"
)

// When the register is ready.
//
// Its record is replayed, and a test scan has come the whole way that goods take: the scanner service's queue, its
// stream, the reader here, the main loop. A release in which that way is broken must not be kept, and a register whose
// scanner service is broken must still sell typed numbers. The register does not know whether its release is on trial;
// so without a test scan it says ready only after unproven, which is longer than a trial waits.

// unproven is how long the register waits for its test scan before it sells without: longer than the 25 s that a trial
// gives every service, shorter than the 90 s after which the watchdog would not be fed.
const unproven = 45 * time.Second

// askAgain is the pause before another test scan is asked for.
const askAgain = 2 * time.Second

// selfTest asks for test scans until one has arrived. They are named after this run, so that one that an earlier run
// asked for proves nothing.
func (r *Register) selfTest(ctx context.Context) {
	for ctx.Err() == nil {
		call, stop := context.WithTimeout(ctx, askAgain)
		err := r.scanner.SelfTest(call, r.run)
		stop()
		if err != nil && ctx.Err() == nil {
			r.cfg.Log.WithError(err).Debug("no test scan")
		}
		select {
		case <-r.proved:
			return
		case <-time.After(min(askAgain, r.cfg.Unproven/4)):
		case <-ctx.Done():
		}
	}
}

// takeTest ends the way of a test scan. It is no goods: it changes neither sale nor message.
func (r *Register) takeTest(s *scan) {
	r.waiting = nil
	close(s.taken)
	if s.Test == r.run && !r.proven {
		r.proven = true
		close(r.proved)
	}
	if s.lost > 0 {
		r.unheard(r.say(msgScansLost, s.lost))
		r.publish()
	}
	r.sayReady()
}

// sayReady tells init, once, that the register can sell.
func (r *Register) sayReady() {
	late := time.Since(r.begun) >= r.cfg.Unproven
	if r.said || !r.started || !r.proven && !late {
		return
	}
	r.said = true
	if !r.proven {
		r.cfg.Log.Warnf("no test scan has come from the scanner service for %v; ready without it: numbers can be typed", r.cfg.Unproven)
	}
	r.cfg.Ready()
}
