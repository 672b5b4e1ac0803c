/** `npm run docs`: writes the documents that are generated from code. */
import { writeFileSync } from 'node:fs'
import { errorDocsFile, renderErrorDocs } from '../error-docs.ts'

writeFileSync(errorDocsFile, renderErrorDocs())
