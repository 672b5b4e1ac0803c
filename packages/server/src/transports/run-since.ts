/** What the wires of one run in a dialect have in common. */
import type { Encode, Wire } from '../delivery/wire.ts'
import { isEndOf, type RenderEvent, renderRun } from '../dialects/replay.ts'
import type { RunStream } from './transport.ts'

/** Frames depend on those before them, so each encoder renders the run from its first event on. */
export function sinceStart(
  { run, start, dialect }: Pick<RunStream, 'run' | 'start' | 'dialect'>,
  encoderOf: (render: RenderEvent) => Encode,
): Pick<Wire, 'encode' | 'since' | 'endsAtGap' | 'isLast'> {
  return {
    encode: () => '',
    since: { offset: start.offset, begin: () => encoderOf(renderRun(dialect, run)) },
    endsAtGap: true,
    isLast: (event) => isEndOf(run, event),
  }
}
