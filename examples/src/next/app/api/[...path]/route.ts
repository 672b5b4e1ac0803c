// In Next.js: app/api/[...path]/route.ts, and nothing else.
import { createMillrace } from 'millrace'

const millrace = createMillrace({ model: 'sim:count?n=5' })

export const dynamic = 'force-dynamic'
export const GET = millrace.fetch
export const POST = millrace.fetch
export const PATCH = millrace.fetch
export const DELETE = millrace.fetch
