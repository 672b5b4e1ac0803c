/**
 * Starts small test files that take long before the others. Where vitest has no times of an earlier run, as in CI, it starts them
 * last, by their size, and the cases of the client suite ran alone for a minute at the end.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const long = [
  'conformance/test/client.test.ts',
  'scripts/deploy.test.ts',
  'conformance/test/sqlite.test.ts',
  'examples/test/pages.test.ts',
  'examples/test/use-chat.test.ts',
  'examples/test/examples.test.ts',
  'conformance/test/tools-nodes.test.ts',
  'conformance/test/workers.test.ts',
]

const isLong = ({ moduleId }: TestSpecification) => long.some((path) => moduleId.endsWith(`/${path}`))

export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    // The projects stay in their order.
    const byProject = [...Map.groupBy(sorted, ({ project }) => project).values()]
    return byProject.flatMap((specs) => [...specs.filter(isLong), ...specs.filter((spec) => !isLong(spec))])
  }
}
