import { createHash } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'

/**
 * Names the wording and make-up of the pages, for the evidence of what a customer was shown (CX-19): with it, a page's view model and the repository,
 * the screen can be made again. It changes with any source of this package that takes part in a page.
 */
export const pageVersion = hashOfSources()

function hashOfSources(): string {
  const hash = createHash('sha256')
  const here = new URL('.', import.meta.url)
  for (const path of globSync('{*,components/*,format/*,assets/*}.{ts,css,svg}', { cwd: here }).sort())
    if (!path.endsWith('.test.ts') && !path.startsWith('gallery'))
      hash
        .update(path)
        .update('\0')
        .update(readFileSync(new URL(path, here)))
  return hash.digest('hex').slice(0, 16)
}
