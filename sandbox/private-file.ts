import { chmodSync, renameSync, writeFileSync } from 'node:fs'

/** Whole or not at all, and readable by its owner only from its first byte. */
export function writePrivateFile(path: string, content: unknown): void {
  const draft = `${path}.new`
  writeFileSync(draft, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600 })
  chmodSync(draft, 0o600)
  renameSync(draft, path)
}
