/** `npm run docs`: writes the documents that are generated from code. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorDocsFile, renderErrorDocs } from '../error-docs.ts'
import { root } from '../install.mjs'
import { renderSettingsDocs } from '../settings-docs.ts'

writeFileSync(errorDocsFile, renderErrorDocs())
for (const { file, text } of renderSettingsDocs()) writeFileSync(join(root, file), text)
