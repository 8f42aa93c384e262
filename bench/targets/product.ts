import type { Options } from '../options.ts'
import type { Target } from './target.ts'
export async function startProductTarget(
  _options: Options,
  _nodeOptions: readonly string[],
): Promise<{ target: Target; adminUrl: string; stop: () => Promise<void> }> {
  throw new Error('not yet')
}
