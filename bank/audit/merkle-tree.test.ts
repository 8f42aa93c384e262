import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  consistencyPath,
  GrowingTree,
  hashBytes,
  inclusionPath,
  isConsistent,
  leafHash,
  type NodeSource,
  nodeHash,
  rootByInclusion,
  sha256,
  type TreeNode,
} from './merkle-tree.ts'

/** The leaves and roots that implementations of RFC 6962 compare themselves by. */
const knownLeaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const knownRoots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

/** Straight from the definition: MTH(D[n]). */
function rootByDefinition(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha256(Buffer.alloc(0))
  if (leaves.length === 1) return leaves[0] as Buffer
  let split = 1
  while (split * 2 < leaves.length) split *= 2
  return nodeHash(rootByDefinition(leaves.slice(0, split)), rootByDefinition(leaves.slice(split)))
}

function grown(leaves: readonly Buffer[]) {
  const tree = new GrowingTree()
  const nodes = new Map(leaves.map((hash, position) => [`0/${position}`, hash]))
  const roots = [tree.root]
  for (const leaf of leaves) {
    tree.append(leaf, ({ level, position, hash }) => nodes.set(`${level}/${position}`, hash))
    roots.push(tree.root)
  }
  const nodeAt: NodeSource = async ({ level, position }) => nodes.get(`${level}/${position}`) ?? assert.fail(`no node ${level}/${position}`)
  return { roots, nodeAt }
}

test('the tree is that of RFC 6962: known leaves come to known roots', () => {
  const { roots } = grown(knownLeaves.map((leaf) => leafHash(Buffer.from(leaf, 'hex'))))
  assert.deepEqual(
    roots.slice(1).map((root) => root.toString('hex')),
    knownRoots,
  )
})

test('every leaf of every tree has its path, every tree leads to every later one, and nothing else does', async () => {
  const leaves = Array.from({ length: 70 }, (_, index) => leafHash(Buffer.of(index)))
  const { roots, nodeAt } = grown(leaves)
  const rootAt = (size: number) => roots[size] as Buffer
  for (let size = 1; size <= leaves.length; size++) {
    assert.deepEqual(rootAt(size), rootByDefinition(leaves.slice(0, size)))
    for (let leaf = 0; leaf < size; leaf++) {
      const path = await inclusionPath(leaf, size, nodeAt)
      const leads = (index: number, hash: Buffer, steps = path) => rootByInclusion(index, size, hash, steps)?.equals(rootAt(size)) === true
      assert.ok(leads(leaf, leaves[leaf] as Buffer), `leaf ${leaf} of ${size}`)
      assert.ok(!leads(leaf, leafHash(Buffer.of(99))))
      assert.ok(!leads((leaf + 1) % size, leaves[leaf] as Buffer) || size === 1)
      assert.ok(!leads(leaf, leaves[leaf] as Buffer, [...path, rootAt(size)]))
      if (path.length > 0) assert.ok(!leads(leaf, leaves[leaf] as Buffer, path.slice(1)))
    }
    for (let smaller = 0; smaller <= size; smaller++) {
      const path = await consistencyPath(smaller, size, nodeAt)
      const [before, after] = [
        { size: smaller, root: rootAt(smaller) },
        { size, root: rootAt(size) },
      ] as const
      assert.ok(isConsistent(before, after, path), `${smaller} to ${size}`)
      if (smaller > 0) assert.ok(!isConsistent({ ...before, root: leafHash(Buffer.of(98)) }, after, path))
      if (smaller > 0 && smaller < size) assert.ok(!isConsistent(before, { ...after, root: rootAt(size - 1) }, path) || path.length === 0)
      assert.ok(!isConsistent(before, after, [...path, Buffer.alloc(hashBytes)]))
    }
  }
})

test('a tree grows on from its subtrees as if it had never been put away', () => {
  const leaves = Array.from({ length: 300 }, (_, index) => leafHash(Buffer.from(String(index))))
  const whole = new GrowingTree()
  for (const leaf of leaves) whole.append(leaf)
  const [first, second] = [new GrowingTree(), [] as TreeNode[]]
  for (const leaf of leaves.slice(0, 256)) first.append(leaf, (node) => node.level === 8 && second.push(node))
  const again = new GrowingTree(second)
  assert.equal(again.size, 256)
  for (const leaf of leaves.slice(256)) again.append(leaf)
  assert.deepEqual(again.root, whole.root)
})

test('a node is of two whole hashes, whatever was hashed before', () => {
  const whole = Buffer.alloc(32, 0xaa)
  for (const length of [0, 31, 33]) {
    const other = Buffer.alloc(length, 0xbb)
    assert.throws(() => nodeHash(whole, other), RangeError)
    assert.throws(() => nodeHash(other, whole), RangeError)
  }
})
