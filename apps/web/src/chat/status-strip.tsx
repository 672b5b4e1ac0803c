/** One line under an answer: its state, and what the server measured of it. */
import type { ChatLane } from '@millrace/client/chat'
import type { ReactNode } from 'react'
import { type Language, useLanguage } from '../i18n/language.tsx'
import styles from './answer.module.css'

/** Over fewer tokens or a shorter time a rate is a rounding error with a unit. */
const rateTokensMin = 2
const rateWindowMinMs = 250

export function StatusStrip({ lane, isStopping, children }: { lane: ChatLane; isStopping: boolean; children?: ReactNode }) {
  const language = useLanguage()
  const phase = readPhase(lane)
  const { t } = language
  return (
    <footer className={styles.strip}>
      <div className={styles.facts}>
        <span className={styles.state} data-phase={phase}>
          <PhaseDot phase={phase} />
          <span>{isStopping && lane.status === 'streaming' ? t.stopping : t.status[phase]}</span>
        </span>
        {readMetrics(lane, language).map((metric) => (
          <span key={metric} title={lane.status === 'streaming' ? undefined : t.metrics.label}>
            {metric}
          </span>
        ))}
      </div>
      <div className={styles.actions}>{children}</div>
    </footer>
  )
}

/** The state of a lane, in colour and shape; the words are beside it. */
export function PhaseDot({ phase }: { phase: ChatLane['status'] | 'silent' | 'thinking' }) {
  return <span className={styles.dot} data-phase={phase} aria-hidden="true" />
}

function readPhase(lane: ChatLane) {
  if (lane.status !== 'streaming') return lane.status
  if (lane.text !== '') return 'streaming'
  return lane.reasoning === '' ? 'silent' : 'thinking'
}

function readMetrics(lane: ChatLane, { t, number, duration, money }: Language): string[] {
  const { status, text, usage, timings, cost, finishReason } = lane
  if (status === 'streaming') return text === '' ? [] : [t.metrics.characters(number(text.length))]
  if (usage === undefined || timings === undefined) return []
  const metrics: string[] = []
  // A server that died has measured nothing.
  const isMeasured = timings.durationMs > 0
  if (isMeasured && timings.firstTokenMs !== null) metrics.push(t.metrics.firstToken(duration(timings.firstTokenMs)))
  const windowMs = timings.firstTokenMs === null ? 0 : timings.durationMs - timings.firstTokenMs
  if (usage.outputTokens >= rateTokensMin && windowMs >= rateWindowMinMs) {
    const rate = (usage.outputTokens * 1000) / windowMs
    metrics.push(t.metrics.rate(number(rate, rate < 10 ? 1 : 0)))
  }
  const about = usage.estimated === true ? '≈ ' : ''
  if (usage.outputTokens > 0) metrics.push(about + t.metrics.tokens(number(usage.outputTokens)))
  if (cost !== undefined) metrics.push(about + money(cost.amount, cost.currency))
  if (isMeasured) metrics.push(t.metrics.total(duration(timings.durationMs)))
  if (finishReason === 'length') metrics.push(t.metrics.lengthLimit)
  return metrics
}
