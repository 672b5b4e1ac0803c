/** What a person does with the page and sees of it, in the words of the page. Waits for states, never for time. */
import type { Locator, Page } from 'playwright-core'

export interface Driver {
  readonly page: Page
  readonly composer: Locator
  readonly send: Locator
  readonly stop: Locator
  readonly connection: Locator
  /** The answer of one lane; without a name, the latest. */
  answer(lane?: string): Locator
  chooseModels(...models: readonly string[]): Promise<void>
  chooseTransport(transport: 'auto' | 'sse' | 'ws' | 'hybrid' | 'poll'): Promise<void>
  ask(query: string): Promise<void>
  /** The text of an answer once it holds `part`. */
  textWith(part: string, lane?: string): Promise<string>
  /** Resolves when an answer has this state. */
  reaches(status: string, lane?: string): Promise<void>
  isConnected(state: string): Promise<void>
}

export function drive(page: Page): Driver {
  const byId = (id: string) => page.getByTestId(id)
  const answer = (lane?: string) =>
    lane === undefined ? byId('answer').last() : page.locator(`[data-testid="answer"][data-lane="${lane}"]`).last()

  async function pick(button: string, model: string): Promise<void> {
    await byId(button).click()
    await byId('model-search').fill(model)
    await page.locator(`[data-model="${model}"]`).click()
  }

  const driver: Driver = {
    page,
    composer: byId('composer'),
    send: byId('send'),
    stop: byId('stop'),
    connection: byId('connection'),
    answer,
    async chooseModels(first, ...others) {
      if (first !== undefined) await pick('model-menu', first)
      for (const model of others) await pick('compare', model)
    },
    async chooseTransport(transport) {
      await byId('transport').click()
      await page.locator(`[data-choice="${transport}"]`).click()
    },
    async ask(query) {
      await byId('composer').fill(query)
      await byId('composer').press('Enter')
    },
    async textWith(part, lane) {
      const text = answer(lane).getByTestId('answer-text')
      await text.filter({ hasText: part }).waitFor()
      return (await text.textContent())?.trim() ?? ''
    },
    async reaches(status, lane) {
      await answer(lane)
        .and(page.locator(`[data-status="${status}"]`))
        .waitFor()
    },
    async isConnected(state) {
      await page.locator(`[data-testid="connection"][data-state="${state}"]`).waitFor()
    },
  }
  return driver
}

/** The numbers of a counting model's text, in the order they stand there. */
export function readNumbers(text: string): number[] {
  return (text.match(/\d+/g) ?? []).map(Number)
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}
