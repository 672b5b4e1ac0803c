import type { CreateFace } from '../gateway/face.ts'
import { createAgUiFace } from './ag-ui/face.ts'
import { createTanstackFace } from './ag-ui/tanstack/face.ts'
import { createAiSdkFace } from './ai-sdk/face.ts'
import { createAnthropicFace } from './anthropic/face.ts'
import { createDurableStreams } from './durable-streams/durable-streams.ts'
import type { DialectName } from './names.ts'
import { createOpenAiFace } from './openai/face.ts'

/** The faces of the dialects that there are. Only `server.ts` knows this list. */
export const faces: Partial<Readonly<Record<DialectName, CreateFace>>> = {
  'ag-ui': createAgUiFace,
  anthropic: createAnthropicFace,
  'durable-streams': createDurableStreams,
  tanstack: createTanstackFace,
  openai: createOpenAiFace,
  'ai-sdk': createAiSdkFace,
}
