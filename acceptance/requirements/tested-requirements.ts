import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import path from 'node:path'

const repository = path.join(import.meta.dirname, '../..')

/** Which test files name a requirement in the title of a test, or in a table that titles are made of. Comments do not count. */
export async function testedRequirements(): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>()
  for (const file of await testFiles())
    for (const id of namedIn(readFileSync(path.join(repository, file), 'utf8'))) found.set(id, [...(found.get(id) ?? []), file])
  return found
}

async function testFiles(): Promise<string[]> {
  const files: string[] = []
  const leftOut = new Set(['node_modules', '.git', '.bankside'])
  for await (const file of glob('**/*.test.ts', { cwd: repository, exclude: (name) => leftOut.has(path.basename(name)) })) files.push(file)
  return files.sort()
}

export function namedIn(source: string): ReadonlySet<string> {
  // A comment over lines begins one: what a text holds, such as the media type of everything, begins none.
  const withoutComments = source.replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, '').replace(/(^|\s)\/\/.*$/gm, '')
  const texts = [...withoutComments.matchAll(/'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\\n]|\\.)*"/g)].map(([text]) => text)
  return new Set(
    texts.flatMap((text) => [...text.matchAll(/(?<![A-Z0-9-])((?:[A-Z][A-Z0-9]*-)+\d+|D\d+)(?![\w-])/g)].map(([, id]) => id ?? '')),
  )
}
