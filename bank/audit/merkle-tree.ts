import { hash } from 'node:crypto'

/** The Merkle tree of RFC 9162 section 2.1 (as in RFC 6962), over leaves that are only ever added. */
export const hashBytes = 32
const leafPrefix = Buffer.of(0x00)

/** By way of a text with a letter for each byte: memory of its own for each hash takes longer to get and to give back than the hash. */
export const sha256 = (data: Uint8Array | string): Buffer => Buffer.from(hash('sha256', data, 'binary'), 'latin1')
export const leafHash = (data: Uint8Array): Buffer => sha256(Buffer.concat([leafPrefix, data]))
/** The same of the UTF-8 of a text. */
export const leafHashOfText = (text: string): Buffer => sha256(`\0${text}`)

/** What a node is the hash of: a prefix and two hashes. */
const hashedNode = Buffer.alloc(1 + 2 * hashBytes, 0x01)
/** @throws {RangeError} for what is no hash: what stood there before would make up for the rest. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  if (left.length !== hashBytes || right.length !== hashBytes) throw new RangeError('a node is of two hashes')
  hashedNode.set(left, 1)
  hashedNode.set(right, 1 + hashBytes)
  return sha256(hashedNode)
}

/** A whole subtree: the one of 2^level leaves that begins at leaf position * 2^level. */
export type Place = { readonly level: number; readonly position: number }
export type TreeNode = Place & { readonly hash: Buffer }

/** The whole subtrees that make up a tree of so many leaves, the largest first. */
export function subtreesOf(size: number): Place[] {
  const places: Place[] = []
  let begin = 0
  for (let level = 52; level >= 0; level--) {
    const leaves = 2 ** level
    if (size - begin < leaves) continue
    places.push({ level, position: begin / leaves })
    begin += leaves
  }
  return places
}

/** What a tree comes to so far, and all that is needed to let it grow. */
export class GrowingTree {
  #size = 0
  readonly #subtrees: TreeNode[]

  /** @param subtrees those of {@link subtreesOf} with their hashes; none for an empty tree. */
  constructor(subtrees: readonly TreeNode[] = []) {
    this.#subtrees = [...subtrees]
    this.#size = subtrees.reduce((leaves, { level }) => leaves + 2 ** level, 0)
  }

  get size(): number {
    return this.#size
  }

  /** @param onSubtree is told of each subtree that is whole now. */
  append(leaf: Buffer, onSubtree?: (node: TreeNode) => void): void {
    let node: TreeNode = { level: 0, position: this.#size++, hash: leaf }
    for (let left = this.#subtrees.at(-1); left?.level === node.level; left = this.#subtrees.at(-1)) {
      this.#subtrees.pop()
      node = { level: node.level + 1, position: left.position / 2, hash: nodeHash(left.hash, node.hash) }
      onSubtree?.(node)
    }
    this.#subtrees.push(node)
  }

  get root(): Buffer {
    return rootOf(this.#subtrees.map(({ hash }) => hash))
  }
}

const emptyRoot = sha256(Buffer.alloc(0))

/** Of the hashes of {@link subtreesOf}. */
const rootOf = (hashes: readonly Buffer[]): Buffer =>
  hashes.length === 0 ? emptyRoot : hashes.reduceRight((right, left) => nodeHash(left, right))

/** Where the hashes of whole subtrees are found. */
export type NodeSource = (place: Place) => Promise<Buffer>

/** MTH(D[begin:end]) of RFC 9162: every range that a proof asks for begins where a whole subtree of at least its size would. */
async function rangeRoot(begin: number, end: number, nodeAt: NodeSource): Promise<Buffer> {
  const places = subtreesOf(end - begin).map(({ level, position }) => ({ level, position: position + begin / 2 ** level }))
  const hashes: Buffer[] = []
  for (const place of places) hashes.push(await nodeAt(place))
  return rootOf(hashes)
}

/** The largest power of two below a number greater than one. */
function splitOf(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}

/** PATH(m, D_n) of RFC 9162 section 2.1.3.1: shows that a leaf is in the tree. */
export async function inclusionPath(leaf: number, size: number, nodeAt: NodeSource): Promise<Buffer[]> {
  const path: Buffer[] = []
  for (let [begin, end] = [0, size]; end - begin > 1; ) {
    const middle = begin + splitOf(end - begin)
    if (leaf < middle) {
      path.push(await rangeRoot(middle, end, nodeAt))
      end = middle
    } else {
      path.push(await rangeRoot(begin, middle, nodeAt))
      begin = middle
    }
  }
  return path.reverse()
}

/** PROOF(m, D_n) of RFC 9162 section 2.1.4.1: shows that the smaller tree is how the larger one began. */
export async function consistencyPath(smaller: number, size: number, nodeAt: NodeSource): Promise<Buffer[]> {
  const path: Buffer[] = []
  if (smaller === 0 || smaller === size) return path
  let isWhole = true
  let [begin, end] = [0, size]
  for (;;) {
    if (smaller === end) {
      if (!isWhole) path.push(await rangeRoot(begin, end, nodeAt))
      return path.reverse()
    }
    const middle = begin + splitOf(end - begin)
    if (smaller <= middle) {
      path.push(await rangeRoot(middle, end, nodeAt))
      end = middle
    } else {
      path.push(await rangeRoot(begin, middle, nodeAt))
      begin = middle
      isWhole = false
    }
  }
}

/** RFC 9162 section 2.1.3.2. @returns the root that a path leads to, or undefined when it has another length than it must. */
export function rootByInclusion(leaf: number, size: number, hash: Buffer, path: readonly Buffer[]): Buffer | undefined {
  if (!(Number.isSafeInteger(leaf) && Number.isSafeInteger(size) && leaf >= 0 && leaf < size)) return undefined
  let [node, last, root] = [leaf, size - 1, hash]
  for (const step of path) {
    if (last === 0) return undefined
    if (node % 2 === 1 || node === last) {
      root = nodeHash(step, root)
      while (node % 2 === 0 && node !== 0) [node, last] = [Math.floor(node / 2), Math.floor(last / 2)]
    } else root = nodeHash(root, step)
    ;[node, last] = [Math.floor(node / 2), Math.floor(last / 2)]
  }
  return last === 0 ? root : undefined
}

export type SizedRoot = { readonly size: number; readonly root: Buffer }

/** RFC 9162 section 2.1.4.2: whether the larger tree begins as the smaller one. */
export function isConsistent(smaller: SizedRoot, larger: SizedRoot, path: readonly Buffer[]): boolean {
  if (smaller.size > larger.size) return false
  if (smaller.size === larger.size) return path.length === 0 && smaller.root.equals(larger.root)
  if (smaller.size === 0) return path.length === 0
  let [node, last] = [smaller.size - 1, larger.size - 1]
  while (node % 2 === 1) [node, last] = [Math.floor(node / 2), Math.floor(last / 2)]
  const [first, ...steps] = node === 0 ? [smaller.root, ...path] : path
  if (first === undefined) return false
  let [before, after] = [first, first]
  for (const step of steps) {
    if (last === 0) return false
    if (node % 2 === 1 || node === last) {
      before = nodeHash(step, before)
      after = nodeHash(step, after)
      while (node % 2 === 0 && node !== 0) [node, last] = [Math.floor(node / 2), Math.floor(last / 2)]
    } else after = nodeHash(after, step)
    ;[node, last] = [Math.floor(node / 2), Math.floor(last / 2)]
  }
  return last === 0 && before.equals(smaller.root) && after.equals(larger.root)
}
