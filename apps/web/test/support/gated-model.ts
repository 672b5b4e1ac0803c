/** A model that says exactly what a test tells it to, and nothing before: tests drive it instead of waiting. */
import type { Model, ModelPart } from 'millrace'

export interface GatedModel extends Model {
  /** Says the next part. It may be called before the model is asked. */
  say(part: ModelPart): void
  /** Ends the answer. */
  end(): void
  /** Whether the server has aborted it, in its last answer. */
  readonly isAborted: boolean
  /** Ends the answer with an error. */
  fail(error: Error): void
}

type Step = { readonly part: ModelPart } | { readonly error?: Error }

export function gatedModel(name: string): GatedModel {
  let steps: Step[] = []
  let wake = () => {}
  let isAborted = false
  const push = (step: Step) => {
    steps.push(step)
    wake()
  }
  return {
    name,
    say: (part) => push({ part }),
    end: () => push({}),
    fail: (error) => push({ error }),
    get isAborted() {
      return isAborted
    },
    async *stream({ signal }) {
      isAborted = false
      signal.addEventListener('abort', () => {
        isAborted = true
        wake()
      })
      while (!signal.aborted) {
        const step = steps.shift()
        if (step === undefined) await new Promise<void>((resume) => (wake = resume))
        else if ('part' in step) yield step.part
        else if (step.error !== undefined) throw step.error
        else return
      }
      // Stopped: what was left to say belongs to no later question.
      steps = []
    },
  }
}
