import { encodeJson } from '@millrace/protocol'
import { z } from 'zod'
import type { RouteResponse } from '../../gateway/route.ts'

/** Checked by the handler, whose errors name the fields as OpenAI does. */
export const anyBody = z.looseObject({})

export const idParam = z.object({ id: z.string().max(400) })

/** Clients show the id of the request in their errors and logs. */
export function jsonResponse(body: object, requestId: string): RouteResponse {
  return { status: 200, text: encodeJson(body as never), headers: { 'x-request-id': requestId } }
}
