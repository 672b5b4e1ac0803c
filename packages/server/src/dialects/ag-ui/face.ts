/** The agent that clients of AG-UI speak to: one address, to which each run is posted. */
import type { Face, FaceContext } from '../../gateway/face.ts'
import type { RouteRequest } from '../../gateway/route.ts'
import { type RunAgentInput, runAgentInput } from './input.ts'
import { startAndStream } from './start.ts'

export function createAgUiFace(context: FaceContext): Face {
  return {
    prefix: '/ag-ui',
    routes: [
      {
        method: 'post',
        path: '/ag-ui',
        summary: 'Run an agent of AG-UI',
        body: runAgentInput,
        answers: { 200: 'stream' },
        handle: (request: RouteRequest<RunAgentInput>) => startAndStream(context, request, { form: 'sse', client: 'ag-ui' }),
      },
    ],
  }
}
