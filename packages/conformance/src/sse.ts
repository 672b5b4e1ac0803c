/**
 * Server-sent events of a response as they were sent: a frame without an id has none here, where the HTML standard would have
 * it inherit one.
 */
export interface SseFrame {
  readonly id: string | undefined
  readonly event: string | undefined
  readonly data: string
}

/** Every frame until the response ends. Rejects where it is cut. */
export async function readSse(response: Response): Promise<SseFrame[]> {
  const frames: SseFrame[] = []
  for await (const frame of streamSse(response)) frames.push(frame)
  return frames
}

export async function* streamSse(response: Response): AsyncGenerator<SseFrame> {
  if (!response.ok) throw new Error(`the server answered ${response.status}: ${await response.text()}`)
  let text = ''
  for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    const blocks = (text + chunk).split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const frame = parse(block)
      if (frame !== undefined) yield frame
    }
  }
  if (text !== '') throw new Error(`the stream ended within a frame: ${JSON.stringify(text)}`)
}

/** Undefined for a comment, and for a frame without data. */
function parse(block: string): SseFrame | undefined {
  const fields = block.split('\n').map((line) => /^([^:]*):? ?(.*)$/.exec(line)?.slice(1) ?? [])
  const field = (name: string) => fields.find(([key]) => key === name)?.[1]
  const data = fields.filter(([key]) => key === 'data').map(([, value]) => value)
  if (data.length === 0) return undefined
  return { id: field('id'), event: field('event'), data: data.join('\n') }
}
