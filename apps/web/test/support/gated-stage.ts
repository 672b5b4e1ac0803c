/** A server whose only model says what the test tells it to, and a page on it: what most tests begin with. */
import type { MillraceOptions } from 'millrace'
import type { Driver } from './driver.ts'
import { type GatedModel, gatedModel } from './gated-model.ts'
import type { prepareStage, Stage } from './stage.ts'

export interface GatedStage extends AsyncDisposable {
  readonly model: GatedModel
  readonly stage: Stage
  readonly page: Driver
}

export async function openGated(
  startStage: ReturnType<typeof prepareStage>,
  options: MillraceOptions = {},
  can: Pick<GatedModel, 'takes'> = {},
): Promise<GatedStage> {
  const model = Object.assign(gatedModel('test:gated'), can)
  const stage = await startStage({ ...options, models: { 'test:gated': model }, model: 'test:gated' })
  return { model, stage, page: await stage.open(), [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose]() }
}
