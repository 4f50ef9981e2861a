//! Who stands above whom: the depth of every chain and every cycle, each policy walked once.

/// The longest chain that is allowed, the policy itself counted.
pub const MAX_CHAIN: usize = 100;

/// The lines of inheritance of a set.
#[derive(Debug, Default)]
pub struct Lineage {
    /// How many policies each chain has, the policy itself counted; `None`: it leads into a cycle.
    pub depths: Vec<Option<usize>>,
    /// The members of each cycle, each followed by its parent.
    pub cycles: Vec<Vec<usize>>,
}

impl Lineage {
    /// Follows the parents, given as indexes.
    pub fn new(parents: &[Option<usize>]) -> Self {
        let mut walk = DepthWalk {
            depths: vec![Depth::Unknown; parents.len()],
            cycles: Vec::new(),
        };

        for start in 0..parents.len() {
            walk.from(start, parents);
        }

        let known = |depth: &Depth| match depth {
            Depth::Of(depth) => Some(*depth),
            Depth::Unknown | Depth::OnPath | Depth::Cyclic => None,
        };

        Self {
            depths: walk.depths.iter().map(known).collect(),
            cycles: walk.cycles,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Depth {
    Unknown,
    OnPath,
    Cyclic,
    Of(usize),
}

struct DepthWalk {
    depths: Vec<Depth>,
    cycles: Vec<Vec<usize>>,
}

impl DepthWalk {
    /// Climbs to something known, then goes back down and notes what was found.
    fn from(&mut self, start: usize, parents: &[Option<usize>]) {
        let mut path = Vec::new();
        let mut at = Some(start);
        while let Some(policy) = at.filter(|policy| self.depth_of(*policy) == Depth::Unknown) {
            self.set_depth(policy, Depth::OnPath);
            path.push(policy);
            at = parents.get(policy).copied().flatten();
        }

        let mut above = at.map_or(Depth::Of(0), |policy| self.depth_of(policy));
        if let (Depth::OnPath, Some(closing)) = (above, at) {
            let members = path
                .iter()
                .skip_while(|policy| **policy != closing)
                .copied()
                .collect();

            self.cycles.push(members);
            above = Depth::Cyclic;
        }

        for policy in path.into_iter().rev() {
            above = match above {
                Depth::Of(depth) => Depth::Of(depth + 1),
                Depth::Unknown | Depth::OnPath | Depth::Cyclic => Depth::Cyclic,
            };
            self.set_depth(policy, above);
        }
    }

    fn depth_of(&self, policy: usize) -> Depth {
        self.depths.get(policy).copied().unwrap_or(Depth::Of(0))
    }

    fn set_depth(&mut self, policy: usize, depth: Depth) {
        if let Some(slot) = self.depths.get_mut(policy) {
            *slot = depth;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths_and_cycles() {
        // 0 <- 1 <- 2; 3 -> 4 -> 5 -> 3; 6 -> 4; 7 -> 7
        let parents = [
            None,
            Some(0),
            Some(1),
            Some(4),
            Some(5),
            Some(3),
            Some(4),
            Some(7),
        ];
        let lineage = Lineage::new(&parents);
        assert_eq!(
            lineage.depths,
            [Some(1), Some(2), Some(3), None, None, None, None, None]
        );

        assert_eq!(lineage.cycles, [vec![3, 4, 5], vec![7]]);
    }
}
