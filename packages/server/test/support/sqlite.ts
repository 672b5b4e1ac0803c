/** The SQLite engine over a folder, with what it tells the operator; closed with the test. */
import { type Engine, type SqliteEngineOptions, sqliteEngine } from 'millrace'
import { onTestFinished } from 'vitest'

export function openSqlite(
  folder: string,
  options: Partial<SqliteEngineOptions> = {},
): { readonly engine: Engine; readonly warnings: readonly string[] } {
  const warnings: string[] = []
  const engine = sqliteEngine({ folder, onLoss: (text) => warnings.push(text), ...options })
  onTestFinished(() => engine.close())
  return { engine, warnings }
}
