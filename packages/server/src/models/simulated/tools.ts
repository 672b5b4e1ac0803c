/** `sim:tool`: calls tools that are simulated too, and says what they returned. */
import type { Json } from '@millrace/protocol'
import { type Tool, ToolError } from '../../tools/tool.ts'
import type { ModelMessagePart, ModelPart, ModelRequest } from '../model.ts'
import type { SimulationOptions } from './options.ts'

type Texts = Readonly<Record<string, string>>

const cities = ['Shanghai', 'Hefei', 'Chengdu', 'Nanjing', 'Wuhan', 'Xiamen', 'Dalian', 'Kunming']

const kinds = {
  weather: {
    description: 'The weather in a city now.',
    input: {
      type: 'object',
      properties: { city: { type: 'string', minLength: 1 } },
      required: ['city'],
      additionalProperties: false,
    },
    argumentsOf: (index: number): Json => ({ city: cities[index % cities.length] ?? '' }),
    resultOf: ({ city = '' }: Texts): Json => ({ city, celsius: 12 + ((7 * city.length) % 20), sky: 'clear' }),
  },
  mail: {
    description: 'Sends a mail.',
    input: {
      type: 'object',
      properties: { to: { type: 'string', minLength: 1 }, subject: { type: 'string' } },
      required: ['to', 'subject'],
      additionalProperties: false,
    },
    argumentsOf: (index: number): Json => ({ to: `miller-${index + 1}@example.com`, subject: 'The river rises' }),
    resultOf: ({ to = '' }: Texts): Json => ({ sent: true, to }),
  },
} satisfies Record<SimulationOptions['name'], object>

/** Only what the name of the model says: a tool that waits for approval, one that a client executes, one that fails. */
export function simulatedTools({ name, approve, client, fails, ms }: SimulationOptions): Readonly<Record<string, Tool>> {
  const { description, input, resultOf } = kinds[name]
  if (client === 1) return { [name]: { description, input } }
  return {
    [name]: {
      description,
      input,
      needsApproval: approve === 1,
      async execute(given: Texts, { signal }) {
        if (ms > 0) await pause(ms, signal)
        if (fails === 1) throw new ToolError(`The simulated ${name} failed, as asked.`)
        return resultOf(given)
      },
    },
  }
}

export function* callsOrAnswer({ name, calls }: SimulationOptions, { messages }: ModelRequest): Generator<ModelPart> {
  const last = messages.at(-1)
  if (last?.role === 'tool') yield* words(`The ${name} says: ${(last.parts ?? []).map(resultText).join('; ')}.`)
  else {
    yield* words('Let me look. ')
    for (let index = 0; index < calls; index++) yield* call(name, index)
  }
}

function* call(name: SimulationOptions['name'], index: number): Generator<ModelPart> {
  const id = `call_${index + 1}`
  const given = kinds[name].argumentsOf(index)
  yield { toolCallStart: { id, name } }
  for (const piece of JSON.stringify(given).match(/.{1,8}/gsu) ?? []) yield { toolCallDelta: { id, arguments: piece } }
  yield { toolCall: { id, name, arguments: given } }
}

function resultText(part: ModelMessagePart): string {
  if (part.type !== 'tool_result') return ''
  return typeof part.value === 'string' ? part.value : JSON.stringify(part.value)
}

function words(text: string): readonly string[] {
  return text.match(/\S+\s*/g) ?? []
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
